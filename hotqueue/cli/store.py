"""The options by which every command names a store, and the way from them to a `Store`.

Without any of them: $HOTQUEUE_URL, else what [tool.hotqueue] in pyproject.toml says, else the user's own embedded server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hotqueue.cli.settings import STORE, TABLE, Whole, from_pyproject

if TYPE_CHECKING:
    from hotqueue.store.address import Address
    from hotqueue.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.option("--dbfilename", metavar="FILE", help="Database file of an embedded server.")
URL = click.option("-u", "--url", metavar="URL", help="redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// …")
_OPTIONS = (
    FILE,
    URL,
    click.option("--host", metavar="HOST", help="Host of a Redis server."),
    click.option("--port", type=Whole(0, 65535), metavar="PORT", help="Port of a Redis server."),
    click.option("--db", type=Whole(0), metavar="N", help="Database number."),
    click.option("--username", metavar="NAME", help="User to log in as."),
    click.option(
        "--password", metavar="PASSWORD", help="Password of the server; other users see it in ps, a URL in $HOTQUEUE_URL not."
    ),
)
_KEYWORDS = ("host", "port", "db", "username", "password")


def store_options(command: F) -> F:
    """Give a click command the options that name a store; they arrive as keywords for `opened`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def opened(dbfilename: str | None = None, url: str | None = None, **given: Any) -> Iterator[Store]:
    """Open the store that the options name, for a ``with`` block.

    Raises:
        click.UsageError: options that contradict each other, or a URL of an unknown form.
    """
    from hotqueue.store.address import MEMORY
    from hotqueue.store.store import Store

    if dbfilename == MEMORY:
        raise click.UsageError(f"a {MEMORY} database is seen by the process that made it alone; name a file")
    where = {name: value for name, value in {"dbfilename": dbfilename, "url": url, **given}.items() if value is not None}
    store = Store(address_of(where) if where else default_address())
    try:
        yield store
    finally:
        store.close()


def address_of(where: Mapping[str, Any]) -> Address:
    """Return the address that these of STORE name.

    Raises:
        click.UsageError: they name none.
    """
    from hotqueue.errors import ConfigError

    try:
        return _resolved(where)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def default_address() -> Address:
    """Return the address of a command that names none.

    Raises:
        click.UsageError: what settings say is none.
    """
    from hotqueue.errors import ConfigError

    try:
        return from_settings() or _resolved({})
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _resolved(where: Mapping[str, Any]) -> Address:
    from hotqueue.store.resolve import resolve

    options = {name: where[name] for name in _KEYWORDS if name in where}
    return resolve(dbfilename=where.get("dbfilename"), url=where.get("url"), options=options)


def from_settings() -> Address | None:
    """Return the address that [tool.hotqueue] names, unless $HOTQUEUE_URL is stronger."""
    from hotqueue.errors import ConfigError

    where = {name: value for name, value in from_pyproject().items() if name in STORE}
    if not where or os.environ.get("HOTQUEUE_URL"):
        return None
    try:
        return _resolved(where)
    except ConfigError as error:
        raise ConfigError(f"{TABLE} in pyproject.toml: {error}") from None
