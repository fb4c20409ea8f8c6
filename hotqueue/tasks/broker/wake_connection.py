"""WakeConnection: one connection that blocks on the bells of queues of one server, with a fetch behind it if asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection

from hotqueue.store import pipeline
from hotqueue.store.blocking import Blocking
from hotqueue.store.packing import command
from hotqueue.store.timeouts import LEAST_BLOCK
from hotqueue.tasks.broker.session import Step
from hotqueue.tasks.broker.stored_queue import StoredQueue

LEFT_OUT = 1.0  # seconds for which a key that holds something else is not taken for a bell
HASTY = 0.25  # seconds for a look at what they hold
LATE = 2.0  # seconds after which the reply of a BLPOP that has run out is not waited for: the connection is dead

Fetch = Callable[[bytes, Blocking], Step]  # the question (packed), and the connection to send both on → the fetch


class WakeConnection:
    """One connection, and the bells that it listens to: lists that hold wake tokens.

    Args:
        broker: one of the queues at whose server they are.
        block: seconds that a BLPOP may take at most.
        silent: the numbers of queues whose bells are not listened to.

    Attributes:
        queues: the numbers of the queues, by their bells.
        is_broken: True while nobody may use it but who connects it anew.
        left_out: keys that hold something else than a bell; the others are listened to.
    """

    def __init__(self, broker: StoredQueue, block: float, silent: Collection[int] = ()) -> None:
        self._store = broker.store
        self.blocking = broker.blocking(block)
        self.queues: dict[bytes, int] = {}
        self._silent = silent
        self.is_listening = False
        self._answers_by = 0.0
        self.is_broken = False
        self.left_out: set[bytes] = set()
        self._question: tuple[list[bytes], bytes] = [], b""
        self._left_out_until = 0.0

    def add(self, bell: bytes, queue: int) -> None:
        """Listen to one bell more, the next time."""
        self.queues[bell] = queue

    def remove(self, queue: int) -> None:
        """Listen to the bells of a queue no more, the next time."""
        self.queues = {bell: number for bell, number in self.queues.items() if number != queue}

    def connect(self) -> None:
        """Connect, if that is to be done; for any thread while `is_broken`; errors as of `Blocking.connect`."""
        self.blocking.connect()

    @property
    def is_connected(self) -> bool:
        """True while the connection is open as far as this side knows."""
        return self.blocking.is_connected

    def filenos(self) -> list[int]:
        """Return what can be read when the reply is there; none while none is under way."""
        return [self.blocking.fileno()] if self.awaits_reply else []

    @property
    def is_overdue(self) -> bool:
        """True when the reply should have come: the connection is dead."""
        return self.is_listening and time.monotonic() > self._answers_by

    @property
    def awaits_reply(self) -> bool:
        """True while a reply is on its way."""
        return self.is_listening and self.blocking.is_connected

    def listen(self, seconds: float) -> None:
        """Ask for a ring within so many seconds, unless that is under way."""
        if self.is_overdue:
            self.drop()
        if not self.awaits_reply and (keys := self._keys()):
            self.blocking.send_packed(self._packed(keys, seconds))
            self.is_listening = True
            self._answers_by = time.monotonic() + seconds + LATE

    def _packed(self, keys: list[bytes], seconds: float) -> bytes:
        """Return a BLPOP as it goes over the wire; of a thousand bells, packing takes longer than waiting for one that rings."""
        if self._question[0] != keys:
            self._question = keys, command(b"BLPOP", *keys, b"%06.3f")
        return self._question[1][:-8] + b"%06.3f\r\n" % max(LEAST_BLOCK, seconds)

    def _keys(self) -> list[bytes]:
        if self.left_out and time.monotonic() > self._left_out_until:
            self.left_out.clear()
        return [key for key, queue in self.queues.items() if key not in self.left_out and queue not in self._silent]

    def leave_out_wrong(self) -> list[int]:
        """Do not listen for a while to bells that are none; return of which queues.

        Raises:
            HotQueueError: the server does not say what they hold.
        """
        bells = [key for key in self.queues if key not in self.left_out]
        with self._store.limited(HASTY):
            types = pipeline.ask_all(self._store, [("TYPE", key) for key in bells], "looking at bells")
        wrong = [key for key, found in zip(bells, types, strict=True) if found not in (b"list", b"none")]
        self.left_out.update(wrong)
        self._left_out_until = time.monotonic() + LEFT_OUT
        return [self.queues[key] for key in wrong]

    def listen_and_fetch(self, seconds: float, fetch: Fetch) -> Step:
        """Ask for a ring, and send a fetch behind that."""
        question = self._packed(list(self.queues), seconds)
        step = fetch(question, self.blocking)
        self.is_listening = True
        return step

    def drop(self) -> None:
        """Close the connection, and forget what was asked."""
        self.is_listening = False
        self.blocking.close()

    def until_due(self) -> float:
        """Return in how many seconds `go_on` has something to do: never."""
        return math.inf

    def go_on(self) -> None:
        """Nothing: who listens waits."""

    def read(self, _goes_on: bool = True) -> list[int]:
        """Return the number of the queue that rang, if one did."""
        self.is_listening = False
        found = self.blocking.receive()
        return [self.queues[found[0]]] if found is not None and found[0] in self.queues else []
