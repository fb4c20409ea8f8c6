"""hotqueue metrics: what the queues hold, for Prometheus; once, or over HTTP. hotqueue-worker --metrics-port starts it as well.

A process of its own: whoever scrapes holds up no worker, and a server that is away no health check.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion
from hotqueue.cli.entry import settings
from hotqueue.cli.reading import check_names, opened_store, say_doubts
from hotqueue.cli.settings import HostPort
from hotqueue.cli.store import store_options

if TYPE_CHECKING:
    from hotqueue.monitor.scrapes import Scrapes
    from hotqueue.store.store import Store

EXTRA = "metrics need prometheus-client: pip install 'hotqueue[metrics]'"


@click.command(context_settings=settings)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=completion.queues)
@store_options
@click.option(
    "--listen", type=HostPort(), metavar="[HOST:]PORT", help="Answer /metrics over HTTP, on 127.0.0.1 unless a host is named."
)
def metrics(queues: tuple[str, ...], listen: tuple[str, int] | None, **where: Any) -> None:
    """Print what the queues hold as Prometheus reads it, or serve it with --listen.

    Without a QUEUE: every queue of the store. 'tenant-*' is all queues that match.
    """
    check_names(queues)
    with opened_store(where) as store:
        say_doubts(store, queues)
        scrape = scrapes(store, queues)
        if listen is None:
            click.echo(scrape("")[0].decode(), nl=False)
            return
        listener = listening(listen, "--listen")
        click.echo(f"http://{shown(*listener.getsockname()[:2])}/metrics", err=True)
        with suppress(KeyboardInterrupt):
            serve(listener, scrape, lambda: True)


def scrapes(store: Store, names: Sequence[str]) -> Scrapes:
    """Return the answers to scrapes of some queues.

    Args:
        names: of queues, and globs; none: all queues of the store.

    Raises:
        click.UsageError: prometheus-client is not installed.
    """
    try:
        from hotqueue.monitor.scrapes import Named, Scrapes
    except ModuleNotFoundError as error:
        raise click.UsageError(EXTRA) from error
    return Scrapes(store, Named(store, names))


def listening(where: tuple[str, int], option: str) -> socket.socket:
    """Return a socket that listens.

    Args:
        option: that named the address.

    Raises:
        click.UsageError: the port is taken, or the address is none of this machine's.
    """
    try:
        family, *_, address = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror  # without what `socket` adds
        raise click.UsageError(f"{option} {shown(*where)} cannot be listened to: {why}; name a free port") from error


def serve(listener: socket.socket, scrape: Callable[[str], tuple[bytes, str]], is_wanted: Callable[[], bool]) -> None:
    """Answer /metrics at a socket, as long as that is wanted."""
    from hotqueue.errors import HotQueueError

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds for which a connection may say nothing

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                return self._answer(404, b"ask for /metrics\n")
            try:
                body, content_type = scrape(self.headers.get("Accept", ""))
            except HotQueueError as error:
                return self._answer(503, f"{error}\n".encode())
            return self._answer(200, body, content_type)

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: there is a scrape each few seconds."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a client that is gone before its answer."""

        def service_actions(self) -> None:
            if not is_wanted():
                os._exit(0)  # a scrape may wait for a server that is away

    server = Server(listener.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def shown(host: Any, port: int) -> str:
    """Return an address as it is written."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
