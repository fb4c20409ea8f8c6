"""How a user names a store: a URL, a database file, redis keywords or a client → the one Address they name."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.store.address import Address
from hotqueue.store.options import check_options, check_values
from hotqueue.store.timeouts import LONGEST, PATIENCE, SHORTEST
from hotqueue.store.url import parse


def resolve(
    *,
    dbfilename: str | os.PathLike[str] | None = None,
    url: str | None = None,
    client: Any = None,
    durability: str = "everysec",
    patience: Any = PATIENCE,
    options: dict[str, Any] | None = None,
) -> Address:
    """Return the one address that these arguments name.

    Without any of them: ``$HOTQUEUE_URL``, else the user's own embedded server.

    Args:
        patience: see `Address`.

    Raises:
        ConfigError: two ways of naming a store at once, or a URL of an unknown form.
        TypeError: an option that redis.Redis does not know; names the nearest one.
    """
    found = _located(dbfilename, url, client, durability, dict(options or {}))
    return found if patience == PATIENCE else replace(found, patience=_patience(patience))


def _patience(given: Any) -> float | None:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"patience= takes seconds (int, float or timedelta), or None for no end, not {given!r:.80}")
    if not SHORTEST <= seconds <= LONGEST:
        raise ConfigError(f"patience= takes seconds from {SHORTEST} to {LONGEST:g}, or None for no end, not {given!r:.80}")
    return float(seconds)


def _located(dbfilename: Any, url: Any, client: Any, durability: str, options: dict[str, Any]) -> Address:
    check_options(options)
    check_values(options)
    if durability not in ("everysec", "always"):
        raise ConfigError(f'durability is "everysec" or "always", not {durability!r}')
    given = [n for n, v in (("dbfilename", dbfilename), ("url", url), ("redis", client)) if v is not None]
    options_too = options if url is None else [name for name in ("host", "port", "unix_socket_path") if name in options]
    given += ["redis keywords (" + ", ".join(sorted(options_too)) + ")"] if options_too else []
    if len(given) > 1:
        raise ConfigError(f"a queue lives in one store, but {' and '.join(given)} were given; keep one of them")
    if client is not None:
        return Address("client", client=_check_client(client))
    if dbfilename is not None:
        return Address("embedded", path=_file_name(dbfilename), durability=durability)
    if url is not None:
        return parse(_url_text(url), options, durability)
    if options:
        return Address("server", options=options)
    if url := os.environ.get("HOTQUEUE_URL"):
        try:
            return parse(url, options, durability)
        except ConfigError as error:
            raise ConfigError(f"$HOTQUEUE_URL: {error}") from None
    return Address("embedded", path=None, durability=durability)


def _file_name(given: Any) -> str:
    try:
        name = os.fsdecode(given)
    except TypeError:
        raise ConfigError(f"dbfilename= takes the name of a file, not {given!r:.80}") from None
    if not name or "\0" in name:
        raise ConfigError(f"dbfilename={given!r:.80} names no file")
    return name


def _url_text(given: Any) -> str:
    if not isinstance(given, str):
        raise ConfigError(f"url= takes a str such as redis://host:6379/0, not {type(given).__name__}")
    if not given.strip():
        raise ConfigError("url= is empty; name a store, or leave it out for $HOTQUEUE_URL or an embedded server")
    return given


def _check_client(client: Any) -> Any:
    if not hasattr(client, "execute_command"):
        raise ConfigError(f"redis= takes a redis.Redis or redis.RedisCluster client, not {client!r}")
    if "asyncio" in type(client).__module__:
        raise ConfigError("redis= takes a synchronous client (redis.Redis, redis.RedisCluster); asyncio twins are made from it")
    return client
