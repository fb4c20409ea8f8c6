"""hotqueue web: the dashboard, served from here; for this machine alone, or for whoever knows a token or a password."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hotqueue.cli import completion
from hotqueue.cli.entry import settings
from hotqueue.cli.metrics import listening, shown
from hotqueue.cli.reading import check_names, say_doubts
from hotqueue.cli.settings import Whole
from hotqueue.cli.store import FILE, URL, opened

if TYPE_CHECKING:
    from hotqueue.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

PORT = 4687  # HOTQ on the keys of a telephone
NEEDED = ("starlette", "jinja2", "uvicorn")
EXTRA = "the dashboard needs starlette, jinja2 and uvicorn: pip install 'hotqueue[web]'"


def _served_at(command: F) -> F:
    """Give a command the options that say where it listens, and who may look."""
    options = (
        click.option(
            "--host", default="127.0.0.1", show_default=True, envvar="HOTQUEUE_WEB_HOST", metavar="ADDRESS", help="Listen there."
        ),
        click.option(
            *("--port",),
            type=Whole(0, 65535),
            default=PORT,
            show_default=True,
            envvar="HOTQUEUE_WEB_PORT",
            metavar="PORT",
            help="And at this port; 0 is any that is free.",
        ),
        click.option(
            "--token",
            envvar="HOTQUEUE_WEB_TOKEN",
            metavar="TOKEN",
            help="Let in who logs in with it; other users see it in ps, $HOTQUEUE_WEB_TOKEN not.",
        ),
        click.option(
            "--user",
            "users",
            multiple=True,
            envvar="HOTQUEUE_WEB_USER",
            metavar="NAME:PASSWORD",
            help="Let in who logs in so; may be said again. Also $HOTQUEUE_WEB_USER.",
        ),
        click.option("--read-only", is_flag=True, envvar="HOTQUEUE_WEB_READ_ONLY", help="Let nobody change anything."),
        click.option(
            "--allow",
            "allow",
            multiple=True,
            metavar="RIGHT",
            help="Let people do this alone: enqueue, pause, purge, retry, discard, revoke, workers, schedules.",
        ),
        click.option(
            "--root-path", default="", metavar="PATH", help="Where a proxy has it, such as /hotqueue, if it strips that."
        ),
        click.option("--open", "is_opened", is_flag=True, help="Open it in a browser."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings=settings)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=completion.queues)
@FILE
@URL
@_served_at
def web(queues: tuple[str, ...], dbfilename: str | None, url: str | None, **how: Any) -> None:
    """Serve the dashboard: queues, workers and tasks as they are, and what can be done to them, in a browser.

    Without a QUEUE: every queue of the store. 'tenant-*' is all queues that match. Other machines may look at it with --host and
    a --token or --user.
    """
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise click.UsageError(EXTRA)
    check_names(queues)
    _check_rights(how["allow"])
    how["root_path"] = _checked_path(how["root_path"])
    users = _checked(how["host"], how["token"] or "", how.pop("users"))
    with opened(dbfilename, url) as store:
        say_doubts(store, queues)
        _serve(store, queues, users, **how)


def _checked_path(path: str) -> str:
    """Return a path as it stands before those of the pages: without a slash at its end."""
    if path and not path.startswith("/"):
        raise click.UsageError(f"--root-path is a path of an address, such as /hotqueue, not {path!r:.80}")
    return path.rstrip("/")


def _check_rights(rights: tuple[str, ...]) -> None:
    from hotqueue.errors import ConfigError
    from hotqueue.web.access import allowed

    try:
        allowed(False, rights)
    except ConfigError as error:
        raise click.UsageError(f"--allow: {error}") from None


def _checked(host: str, token: str, users: tuple[str, ...]) -> dict[str, str]:
    """Return the passwords of users.

    Raises:
        click.UsageError: one has none; or anybody on the network could look.
    """
    from hotqueue.web.access import is_loopback

    found = dict(user.partition(":")[::2] for user in users)
    if not all(name and password for name, password in found.items()):  # which one is not said: it may be part of a password
        raise click.UsageError(
            "--user has to be a name and a password: NAME:PASSWORD; in $HOTQUEUE_WEB_USER blanks are between users"
        )
    if not (token or found or is_loopback(host)):
        how = "give --token TOKEN or --user NAME:PASSWORD, or $HOTQUEUE_WEB_TOKEN"
        raise click.UsageError(f"--host {host} would show the dashboard to anybody who reaches this machine: {how}")
    return found


def _serve(store: Store, queues: tuple[str, ...], users: Mapping[str, str], **how: Any) -> None:
    import uvicorn

    from hotqueue.web.application import build, site_of

    host, token = how["host"], how["token"] or ""
    hosts = [f"[{host}]" if ":" in host else host]
    allow = list(how["allow"]) or None
    site = site_of(store, queues, token=token, users=users, read_only=how["read_only"], allow=allow, hosts=hosts)
    _log_to_stderr()
    listener = listening((host, how["port"]), "--host, --port")
    address = f"http://{shown(*_reached_at(listener))}{how['root_path']}/"
    click.echo(f"{address}  ({store}; Ctrl-C ends it)")
    sys.stdout.flush()
    if how["is_opened"]:
        import webbrowser

        webbrowser.open(address)
    more: dict[str, Any] = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False, "server_header": False}
    threading.Thread(target=site.warm, name="hotqueue-warm", daemon=True).start()
    config = uvicorn.Config(build(site), root_path=how["root_path"], timeout_graceful_shutdown=2, **more)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # which uvicorn has back when it ends
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _reached_at(listener: socket.socket) -> tuple[str, int]:
    """Return host and port for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port


def _log_to_stderr() -> None:
    """Have the audit, and what goes wrong, on standard error."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("hotqueue.audit").setLevel(logging.INFO)
