"""StoredQueue: what operations on a queue of tasks begin with: store, name, keys of scripts, bells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotqueue import keys
from hotqueue.store.store import Store
from hotqueue.tasks.broker.script_keys import ScriptKeys

if TYPE_CHECKING:
    from hotqueue.store.blocking import Blocking  # imports redis

BULK = 1000  # tasks a script call handles at most
FAR = 1e16  # ms, further away than any instant; what stands in a sorted set may be infinite


def instant(score: bytes) -> int:
    """Return the ms that stand as a score in a sorted set, where somebody else may have put an infinite one."""
    return int(min(max(float(score), -FAR), FAR))


def whole(number: bytes | str) -> int:
    """Return the number that stands in a hash or a string; 0 for what somebody else put there."""
    return int(number) if number.isdigit() and number.isascii() and len(number) < 18 else 0


class StoredQueue:
    """One queue of tasks in the store.

    Attributes:
        script_keys: which keys each script gets.
        results: what the key of a result begins with.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.script_keys = ScriptKeys(name)
        self.results = keys.raw(keys.result(name, ""))

    def ring(self, kind: str) -> None:
        """Give a wake token back, for another worker."""
        key = self.bell_key(kind)
        self.store.command(key, "LPUSH", key, "1")

    def blocking(self, block: float) -> Blocking:
        """Return a connection for blocking on this queue's bells."""
        return self.store.blocking(self.bell_key("s"), block)

    def bell_key(self, kind: str) -> str:
        """Return the key of the bell for "s" or "a" tasks."""
        return self.script_keys.bells[kind == "a"]
