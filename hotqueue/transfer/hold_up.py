"""Whether a queue can be taken from a server that others use: it is copied at one moment, in which that server does nothing else.

Counts; copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from hotqueue import key_types, keys
from hotqueue.errors import ConfigError
from hotqueue.plurals import plural
from hotqueue.store.store import Store

ELEMENTS = 500_000  # of a queue that is taken without being asked twice: about a second
_COUNT = {"hash": "HLEN", "zset": "ZCARD", "list": "LLEN", "set": "SCARD"}


def refuse_if_long(server: Store, name: bytes, of_queue: Iterable[bytes]) -> None:
    """Raise ConfigError when the keys of a queue have so many elements that copying them would stop its server for long."""
    elements = sum(_length(server, key) for key in of_queue)
    if elements > ELEMENTS:
        queue = keys.text(name).removeprefix(keys.PREFIX)
        raise ConfigError(
            f"queue {queue!r} at {server} has {plural(elements, 'element')}: to copy them at one moment would keep that server "
            f"from everything else for {elements / ELEMENTS:,.0f} s or more. Stop whoever uses it and say --hold-up, or "
            "take a copy by the server's own means (docs/operations.md, Very many tasks)"
        )


def _length(server: Store, key: bytes) -> int:
    command = _COUNT.get(key_types.type_of(keys.text(key)) or "")
    return int(server.command(key, command, key, doing="counting what a queue holds")) if command else 0
