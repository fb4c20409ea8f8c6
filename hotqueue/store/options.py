"""Keywords of redis clients: which are known, and what each may be; a wrong one is refused where it is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.hints import did_you_mean

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
_NOT_BUILT = {  # options that are decided, and are to come
    "partitions": "a queue is on one server as yet; until it can be on several, spread the load over several queues, as "
    "docs/performance.md shows, and leave partitions= out"
}
OWN_OPTIONS = (
    "dbfilename",
    "url",
    "durability",
    "patience",
    "secret_key",
    "serializer",
    "redis",
    "max_queue_length",
    "max_waiting",
    "enqueue_timeout",
)

_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # keyword → what it may be, and how to tell
    "host": ("a host's name", lambda v: isinstance(v, str) and v != ""),
    "port": ("a number from 0 to 65535", lambda v: _is_whole(v) and int(v) <= 65535),
    "db": ("a number from 0", lambda v: _is_whole(v)),
    "unix_socket_path": ("the name of a file", lambda v: isinstance(v, str | bytes | os.PathLike) and bool(os.fspath(v))),
    "socket_connect_timeout": ("seconds", lambda v: isinstance(v, int | float) and v > 0),
    "socket_timeout": ("seconds", lambda v: isinstance(v, int | float) and v > 0),
}


def check_options(options: dict[str, Any]) -> None:
    """Raise TypeError for an option that is not built yet, and for the first that neither hotqueue nor redis.Redis knows."""
    for name in set(options) & _NOT_BUILT.keys():
        raise TypeError(f"HotQueue does not take {name}= yet: {_NOT_BUILT[name]}")
    if unknown := unknown_option(options):
        raise TypeError(f"HotQueue got an {unknown}")


def unknown_option(options: dict[str, Any]) -> str:
    """Return the first option that neither hotqueue nor redis.Redis knows, in words; "" when all are known."""
    unknown = set(options) - _USUAL
    if not unknown:
        return ""
    import inspect

    import redis

    known = set(inspect.signature(redis.Redis.__init__).parameters) - {"self"}
    for name in sorted(unknown - known):
        return f"unknown option {name!r}{did_you_mean(name, [*known, *OWN_OPTIONS])}"
    return ""


def check_values(options: dict[str, Any]) -> None:
    """Raise ConfigError, before anything is connected, for a value that would fail far from where it was given."""
    for name, (wanted, is_right) in _VALUES.items():
        if options.get(name) is not None and not is_right(options[name]):
            raise ConfigError(f"{name}= takes {wanted}, not {options[name]!r:.80}")


def _is_whole(value: Any) -> bool:
    return value >= 0 if type(value) is int else isinstance(value, str) and value.isascii() and value.isdigit()
