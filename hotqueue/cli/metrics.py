"""hotqueue metrics: what the queues hold, for Prometheus; once, or over HTTP. hotqueue-worker --metrics-port starts it as well.

A process of its own: whoever scrapes holds up no worker, and a server that is away no health check.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli.entry import settings
from hotqueue.cli.reading import opened_store
from hotqueue.cli.settings import HostPort
from hotqueue.cli.store import store_options

if TYPE_CHECKING:
    from hotqueue.store.store import Store

EXTRA = "metrics need prometheus-client: pip install 'hotqueue[metrics]'"
KEPT = 1.0  # seconds for which one answer is good: it does not matter how many scrape
LOOK = 30.0  # seconds after which queues that appeared are seen


@click.command(context_settings=settings)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@store_options
@click.option(
    "--listen", type=HostPort(), metavar="[HOST:]PORT", help="Answer /metrics over HTTP, on 127.0.0.1 unless a host is named."
)
def metrics(queues: tuple[str, ...], listen: tuple[str, int] | None, **where: Any) -> None:
    """Print what the queues hold as Prometheus reads it, or serve it with --listen.

    Without a QUEUE: every queue of the store. 'tenant-*' is all queues that match.
    """
    with opened_store(where) as store:
        scrape = Scrapes(store, queues)
        if listen is None:
            click.echo(scrape("")[0].decode(), nl=False)
            return
        server = serve(listen, scrape)
        click.echo(f"http://{_shown(*server.server_address[:2])}/metrics", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


class Scrapes:
    """The answers to scrapes, one at a time.

    Args:
        names: of queues, and globs; none: all queues of the store.
    """

    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self._text = _text()
        self._store, self._names = store, names
        self._lock = threading.Lock()
        self._queues: list[str] = []
        self._looked_at = -LOOK
        self._answers: dict[str, tuple[float, tuple[bytes, str]]] = {}

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """Return what is to be answered, and its content type.

        Args:
            accept: the header of that name.
        """
        kind = "application/openmetrics-text; version=1.0.0" if "openmetrics" in accept else ""
        with self._lock:
            at, answer = self._answers.get(kind, (-KEPT, (b"", "")))
            if time.monotonic() - at >= KEPT:
                answer = self._text(self._store, self._known_queues(), kind)
                self._answers[kind] = time.monotonic(), answer
            return answer

    def _known_queues(self) -> list[str]:
        from hotqueue.monitor import finding

        if time.monotonic() - self._looked_at >= LOOK:
            self._queues = finding.queues(self._store, self._names)[0]
            self._looked_at = time.monotonic()
        return self._queues


def _text() -> Callable[..., tuple[bytes, str]]:
    try:
        from hotqueue.monitor import metrics as facts
    except ModuleNotFoundError as error:
        raise click.UsageError(EXTRA) from error
    return facts.text


def serve(where: tuple[str, int], scrape: Callable[[str], tuple[bytes, str]]) -> ThreadingHTTPServer:
    """Return a server that listens, and answers /metrics once it is told to.

    Raises:
        click.UsageError: the port is taken, or the address is none of this machine's.
    """
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

    try:
        return Server(where, Handler)
    except OSError as error:
        raise click.UsageError(f"{_shown(*where)} cannot be listened to: {error.strerror}; name a free port") from error


def _shown(host: Any, port: int) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
