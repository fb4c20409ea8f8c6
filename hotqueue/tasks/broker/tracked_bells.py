"""TrackedBells: the bells of all queues at one node of a Cluster, listened to over two connections, however many they are.

A BLPOP has keys of one slot. So the node is asked to say which bells have changed since they were read (tracking.py); then a
token is taken, for one queue at a time: the others are for whoever else is idle. A ring that is not taken stays in its bell.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from enum import Enum
from itertools import islice
from typing import Any

from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.store.store import Store
from hotqueue.store.tracking import LAYOUT, Moved, Tracking, layout_of
from hotqueue.tasks.broker.eagerness import Eagerness

AGAIN = 1.0  # seconds until a bell that could not be read is read again; each of them where the server says of no change
ALL_AGAIN = 300.0  # seconds in which each bell is read once though nothing was said of it
LAYOUT_EVERY = 2.0  # seconds between two looks whether the Cluster's slots are laid out anew
NEWS = 3  # such looks after which it is old
AT_ONCE = 500  # bells that are read in one trip


class Ask(Enum):
    """What a command is for."""

    READ, TAKE, FOLLOW, LAYOUT = range(4)  # FOLLOW: take the token of a ring that the worker has gone after already


class TrackedBells:
    """The bells at one node.

    Args:
        silent: the numbers of queues whose bells are not listened to.

    Attributes:
        queues: the numbers of the queues, by their bells.
        is_broken: True while nobody may use it but who connects it anew.
        has_moved: True once the Cluster's slots may be laid out anew; for whoever learns that to put down.
        wrong: the number of a queue whose bell cannot be read → why.
    """

    def __init__(self, store: Store, silent: Collection[int]) -> None:
        self.store = store
        self.queues: dict[bytes, int] = {}
        self.is_broken, self.has_moved = True, False
        self.wrong: dict[int, HotQueueError] = {}
        self._tracking = Tracking(store)
        self._silent = silent
        self._lock = threading.Lock()
        self._eagerness = Eagerness()
        self._turn: Iterator[bytes] = iter(())
        self._forget()

    def _forget(self) -> None:
        self._read_at = dict.fromkeys(self.queues, 0.0)  # when each is to be read that is soon
        self._rang: dict[bytes, None] = {}  # those that hold a token to be taken
        self._under_way: deque[tuple[Ask, bytes]] = deque()
        self._late_at, self._turned_at = 0.0, time.monotonic()
        self._layout: Any = None
        self._layout_at, self._is_news = 0.0, 0

    def add(self, bell: bytes, queue: int) -> None:
        """Listen to one bell more."""
        self.queues[bell] = queue
        self._read_at[bell] = 0.0

    def remove(self, queue: int) -> None:
        """Listen to the bells of a queue no more."""
        for bell in [bell for bell, number in self.queues.items() if number == queue]:
            del self.queues[bell]
            self._read_at.pop(bell, None)
            self._rang.pop(bell, None)

    # --- the connections -----------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect, if that is to be done; for any thread while `is_broken`.

        Raises:
            ConnectionFailed, ConfigError: that cannot be done now.
        """
        with self._lock:
            if not self._tracking.is_connected and (bell := next(iter(self.queues), None)) is not None:
                self._tracking.connect(bell)
                self._forget()

    @property
    def is_connected(self) -> bool:
        """True while the connections are open as far as this side knows."""
        return self._tracking.is_connected

    @property
    def is_overdue(self) -> bool:
        """True when a reply should have come: a connection is dead."""
        return self._tracking.is_overdue

    def drop(self) -> None:
        """Close the connections."""
        self._tracking.close()
        self._under_way.clear()

    def filenos(self) -> list[int]:
        """Return what can be read when there is something to take in."""
        return [] if self.is_broken else self._tracking.filenos()

    @property
    def awaits_reply(self) -> bool:
        """True while a token may be on its way here."""
        return any(ask is Ask.TAKE for ask, _ in self._under_way)

    # --- listening -----------------------------------------------------------------------------------------------

    def listen(self, _seconds: float) -> None:
        """Begin to listen again, after what else there was to do.

        What rang meanwhile is no news: others may have come for it. So that is looked at first.

        Raises:
            ConnectionFailed: a connection broke.
        """
        now = time.monotonic()
        self._read_at.update(dict.fromkeys([*self._rang, *self._changed()], now))
        self._rang.clear()
        self._tracking.ask_whether_it_is_there()
        self._ask(now)

    def until_due(self) -> float:
        """Return in how many seconds `go_on` has something to do."""
        if self.is_broken:
            return math.inf
        return min([self._layout_at, *self._read_at.values()]) - time.monotonic()

    def go_on(self) -> None:
        """Ask for what is due; errors as of `listen`."""
        self._ask(time.monotonic())

    def read(self, goes_on: bool = True) -> list[int]:
        """Take in what has come; return the number of the queue that rang, and for which we have the token, if any.

        Args:
            goes_on: ask for what came; otherwise it waits until `listen`.

        Raises:
            ConnectionFailed: a connection broke.
        """
        now = time.monotonic()
        changed = self._changed()
        if goes_on and len(changed) == 1 and self._eagerness.is_sure and not (self._rang or self._under_way):
            return self._gone_after(changed[0], now)
        for bell in changed:
            if delay := self._eagerness.delay():
                self._late_at = self._late_at if self._late_at > now else now + delay  # together, in one trip
                self._read_at[bell] = self._late_at
            else:
                self._rang[bell] = None
        taken = [queue for answer in self._tracking.answers() for queue in self._take_in(*self._under_way.popleft(), answer, now)]
        if goes_on and not taken:
            self._ask(now)
        return taken

    def _gone_after(self, bell: bytes, now: float) -> list[int]:
        """Return the number of the queue that rang, before its token is here: who is alone need not wait for it."""
        if self._is_silent(bell, now):
            return []
        self._send([(Ask.FOLLOW, bell), (Ask.READ, bell)])
        return [self.queues[bell]]

    def _changed(self) -> list[bytes]:
        changed = self._tracking.changed()
        return list(self.queues) if changed is None else [bell for bell in changed if bell in self.queues]

    def _take_in(self, ask: Ask, bell: bytes, answer: Any, now: float) -> list[int]:
        if isinstance(answer, HotQueueError | Moved):
            self._note_refused(bell, answer, now)
        elif ask is Ask.LAYOUT:
            self._note_layout(layout_of(answer))
        elif ask is Ask.READ:
            if answer and bell in self.queues:
                self._rang[bell] = None
            if self._tracking.is_deaf and bell in self.queues:
                self._read_at[bell] = now + AGAIN
        elif answer is None:
            self._eagerness.was_late()
        else:
            self._eagerness.was_in_time()
            return [self.queues[bell]] if ask is Ask.TAKE and bell in self.queues else []
        return []

    def _note_layout(self, layout: Any) -> None:
        if layout != self._layout and self._layout is not None:
            self._is_news = NEWS  # of the nodes that may be asked for it, not all know it yet
        self._layout = layout
        if self._is_news:
            self._is_news -= 1
            self.has_moved = True

    def _note_refused(self, bell: bytes, why: HotQueueError | Moved, now: float) -> None:
        if bell in self.queues:
            self._read_at[bell] = now + AGAIN
        if isinstance(why, Moved) or (isinstance(why, ConnectionFailed) and why.retry):
            self.has_moved = True
        elif bell in self.queues:
            self.wrong[self.queues[bell]] = why

    # --- asking --------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        asked: list[tuple[Ask, bytes]] = []
        if self._rang and not self.awaits_reply:
            bell = next(iter(self._rang))
            del self._rang[bell]
            asked += [] if self._is_silent(bell, now) else [(Ask.TAKE, bell), (Ask.READ, bell)]
        due = [bell for bell, at in self._read_at.items() if at <= now][:AT_ONCE]
        for bell in due:
            del self._read_at[bell]
        asked += [(Ask.READ, bell) for bell in (*due, *self._in_turn(now)) if not self._is_silent(bell, now)]
        if now >= self._layout_at:
            self._layout_at = now + LAYOUT_EVERY
            asked.append((Ask.LAYOUT, b""))
        self._send(asked)

    def _send(self, asked: list[tuple[Ask, bytes]]) -> None:
        self._under_way += asked
        self._tracking.send([_COMMANDS[ask] + ((bell,) if bell else ()) for ask, bell in asked])

    def _is_silent(self, bell: bytes, now: float) -> bool:
        is_silent = self.queues[bell] in self._silent
        if is_silent:
            self._read_at[bell] = now + AGAIN
        return is_silent

    def _in_turn(self, now: float) -> list[bytes]:
        """Return the bells whose turn it is to be read though nothing was said of them."""
        count = int((now - self._turned_at) * len(self.queues) / ALL_AGAIN)
        if not count:
            return []
        self._turned_at = now
        found = list(islice(self._turn, count))
        if not found:
            self._turn = iter(list(self.queues))
        return [bell for bell in found if bell in self.queues]


_COMMANDS: dict[Ask, tuple[bytes, ...]] = {Ask.READ: (b"LLEN",), Ask.TAKE: (b"LPOP",), Ask.FOLLOW: (b"LPOP",), Ask.LAYOUT: LAYOUT}
