"""Tracking: a server says which of the keys that were read have changed since (CLIENT TRACKING, Redis 6).

Two connections to one server, as one that speaks RESP2 cannot do both: one reads keys, the other hears of them. Of a key that was
read, one change is said; who wants to hear of the next one reads it again. What a key holds, and what follows from a change, is
for others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import redis.exceptions as rx

from hotqueue import keys
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store.packing import command
from hotqueue.store.store import Store

if TYPE_CHECKING:
    from hotqueue.store.blocking import Blocking

CHANNEL = "__redis__:invalidate"
ASKED = 10.0  # seconds without a word after which it is asked whether the connection that hears is still there
ANSWERS = 4.0  # seconds for any answer: later than that, the connection is dead


class Moved:
    """In the place of an answer: the key is at another node now, or on its way there."""


class Tracking:
    """What changes at one server, or one node of a Cluster; for one thread at a time.

    Attributes:
        is_deaf: True where the server lets us read, but not hear of changes: a user without the permission, a proxy.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_deaf = False
        self._reader: Blocking | None = None
        self._hearer: Blocking | None = None
        self._heard_at = self._pinged_at = self._answers_by = 0.0
        self._awaited = 0

    def connect(self, key: str | bytes) -> None:
        """Connect to the server that holds `key`, unless that was done; nothing is tracked yet.

        Raises:
            ConnectionFailed, ConfigError: it is away, or refuses us.
        """
        if self.is_connected:
            return
        self.close()
        at = keys.text(key) if isinstance(key, bytes) else key
        reader = self._store.blocking(at, 0.0)
        reader.connect()
        try:
            self._hearer = self._hearing(at, reader)
        except BaseException:
            reader.close()
            raise
        self._heard_at, self._pinged_at, self._awaited = time.monotonic(), 0.0, 0
        self._reader = reader

    def _hearing(self, at: str, reader: Blocking) -> Blocking | None:
        """Return the connection that hears what `reader` has read; None where the server does not let us."""
        hearer = self._store.blocking(at, 0.0)
        try:
            number = hearer.call("CLIENT", "ID")
            hearer.call("SUBSCRIBE", CHANNEL)
            reader.send_more(command(b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", b"%d" % number, b"NOLOOP"))
            if isinstance(refused := reader.receive_or_error(), Exception):
                raise self._store.translated(refused, "tracking keys")
            if reader.peer() != hearer.peer():
                raise ConnectionFailed(f"{at} has just moved to another node", sent=False)
        except BaseException as error:
            hearer.close()
            self.is_deaf = isinstance(error, HotQueueError) and not (isinstance(error, ConnectionFailed) and error.retry)
            if self.is_deaf:
                return None
            raise
        self.is_deaf = False
        return hearer

    @property
    def is_connected(self) -> bool:
        """True while both connections are open as far as this side knows; where one is lost, so is what was tracked."""
        return len(self._both()) == (1 if self.is_deaf else 2)

    @property
    def is_overdue(self) -> bool:
        """True when something should have been answered that was not, and nothing is here to be taken in."""
        now = time.monotonic()
        reads_late = self._awaited > 0 and now > self._answers_by
        hears_late = self._pinged_at > self._heard_at and now > self._pinged_at + ANSWERS
        return (reads_late or hears_late) and not any(each.has_answered() for each in self._both())

    def _both(self) -> list[Blocking]:
        return [each for each in (self._hearer, self._reader) if each is not None and each.is_connected]

    def filenos(self) -> list[int]:
        """Return what can be read when something has changed, or was answered; none while not connected."""
        return [each.fileno() for each in self._both()] if self.is_connected else []

    def send(self, commands: Sequence[Sequence[bytes]]) -> None:
        """Send commands, of which those that read have their keys tracked; `answers` brings one answer each.

        Raises:
            ConnectionFailed: the connection broke.
        """
        if not commands:
            return
        assert self._reader is not None
        self._reader.send_more(b"".join([command(*each) for each in commands]))
        self._awaited += len(commands)
        self._answers_by = time.monotonic() + ANSWERS

    def answers(self) -> Iterator[Any]:
        """Yield the answers that are here, in the order of the commands: a HotQueueError for what was refused, `Moved`.

        Raises:
            ConnectionFailed: the connection broke.
        """
        while self._awaited and self._reader is not None and self._reader.has_answered():
            yield self._answer()

    def _answer(self) -> Any:
        assert self._reader is not None
        answer = self._reader.receive_or_error()
        self._awaited -= 1
        if isinstance(answer, rx.AskError):  # MOVED is one
            return Moved()
        return self._store.translated(answer, "tracking keys") if isinstance(answer, Exception) else answer

    def ask(self, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        """Send commands, and wait for all answers; otherwise as `send` and `answers`."""
        self.send(commands)
        return [self._answer() for _ in commands]

    def changed(self) -> list[bytes] | None:
        """Return the keys that have changed, as far as that is here; None: all may have, the server was emptied.

        Raises:
            ConnectionFailed: the connection broke.
        """
        found: list[bytes] = []
        is_all = False
        while self._hearer is not None and self._hearer.has_answered():
            said: Any = self._hearer.receive()
            self._heard_at = time.monotonic()
            if said[0] != b"message":
                continue
            if said[2] is None:
                is_all = True
            else:
                found += said[2]
        return None if is_all else found

    def ask_whether_it_is_there(self) -> None:
        """Ask for a word of the connection that hears, if there was none for long; `is_overdue` where none comes."""
        now = time.monotonic()
        if self._hearer is not None and now > self._heard_at + ASKED and self._pinged_at <= self._heard_at:
            self._hearer.send_more(command(b"PING"))
            self._pinged_at = now

    def close(self) -> None:
        """Close both; nothing is tracked any more."""
        for each in (self._hearer, self._reader):
            if each is not None:
                each.close()


LAYOUT = (b"CLUSTER", b"INFO")  # what to ask a node, for `layout_of`


def layout_of(answer: Any) -> Any:
    """Return what of a node's answer is another once a Cluster's slots are laid out anew, or the node is not well.

    Not the layout itself: this costs the node little, so that it can be asked every second. Whoever moves a slot, and whoever
    takes over from a master, begins another epoch, and all nodes hear of it within a second or so.
    """
    if not isinstance(answer, bytes):
        return answer
    wanted = (b"cluster_state:", b"cluster_current_epoch:")
    return [line for line in answer.split() if line.startswith(wanted)]
