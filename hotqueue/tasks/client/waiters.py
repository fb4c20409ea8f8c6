"""What a process waits for at one queue: who gets which answer, and when the server is asked again. No I/O.

A task is asked about again soon at first, and then ever more rarely: what is lost is noticed otherwise in nearly all cases, see
replies.py. Whoever looks for what is due looks at all of them, and takes some at a time. Each time a task is asked about, its end
may be sent once; of whom less was read than that, more may come: see docs/decisions/0059.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hotqueue.tasks.client.answers import Answer

FIRST, LONGEST_PAUSE = 1.0, 10.0  # seconds until a task is asked about again: for the first time, and at most
PIECE = 1000  # tasks that are asked about together
BETWEEN = 0.1  # seconds between two such pieces
AFTER = 0.01  # seconds past a task's expiry at which it is asked about
MOST_UNREAD = 10_000  # tasks of which it is kept that more may come; lists that nobody reads are gone after a minute


Callback = Callable[[str, Answer], None]  # returns at once: whoever waits for other tasks stands behind it


class Waiter:
    """One thread's wait for some tasks, or, with `until_error`, for the first of them that fails."""

    def __init__(self, ids: Iterable[str], until_error: bool = False) -> None:
        self.remaining = set(ids)
        self.answers: dict[str, Answer] = {}
        self.awake = threading.Event()
        self._until_error, self.has_failed = until_error, False

    @property
    def is_waiting(self) -> bool:
        """True while it lacks something."""
        return bool(self.remaining) and not self.has_failed

    def deliver(self, task_id: str, answer: Answer) -> None:
        """Take an answer."""
        self.answers[task_id] = answer
        self.remaining.discard(task_id)
        if self._until_error and answer.is_error:
            self.has_failed = True
        if not self.remaining or self.has_failed:
            self.awake.set()


@dataclass(slots=True)
class _Watch:
    who: list[Waiter | Callback]
    ask_at: float
    pause: float
    asked: int = 1  # how often, at least where that is more than once


class Watches:
    """The tasks that are waited for. For any thread; `remove` also for what the garbage collector runs, at any moment.

    Attributes:
        tasks: their ids, and what is known of each; to be looked at, and changed here alone.
        unread: ids of tasks of which more may come than was read, also of a life before they were put back, or sent anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tasks: dict[str, _Watch] = {}
        self.unread: dict[str, None] = {}
        self._waiters: dict[Waiter, None] = {}  # those that lack answers, the first first
        self._callbacks = 0
        self._left: deque[tuple[str, Waiter | Callback]] = deque()  # who does not wait any more
        self._due = math.inf  # nothing is due before

    def enter(self, waiter: Waiter) -> None:
        """Have answers delivered to a waiter; the server is to be asked by the caller."""
        with self._lock:
            self._waiters[waiter] = None
            for task_id in waiter.remaining:
                self._add(task_id, waiter)

    def add(self, task_id: str, callback: Callback) -> None:
        """Have a callback called; the server is to be asked by the caller."""
        with self._lock:
            self._add(task_id, callback)
            self._callbacks += 1

    def _add(self, task_id: str, who: Waiter | Callback) -> None:
        found = self.tasks.get(task_id)
        if found is not None:
            found.who.append(who)
            found.asked += 1
            return
        first = time.monotonic() + FIRST
        self.tasks[task_id] = _Watch([who], first, 2 * FIRST)
        self._due = min(self._due, first)

    def remove(self, task_id: str, who: Waiter | Callback) -> None:
        """Forget who waits for a task, and the task with the last one."""
        self._left.append((task_id, who))
        if self._lock.acquire(blocking=False):  # else whoever has it may be this thread; the next one sees to it
            try:
                self._sort_out()
            finally:
                self._lock.release()

    def leave(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        with self._lock:
            self._waiters.pop(waiter, None)
            if waiter.remaining:
                self._left.extend((task_id, waiter) for task_id in list(waiter.remaining))
            if self._left:
                self._sort_out()

    def _sort_out(self) -> None:
        while self._left:
            task_id, who = self._left.popleft()
            found = self.tasks.get(task_id)
            if found is None or who not in found.who:
                continue
            found.who.remove(who)
            self._callbacks -= not isinstance(who, Waiter)
            if not found.who:
                del self.tasks[task_id]
                self._note_unread(task_id)

    def _note_unread(self, task_id: str) -> None:
        self.unread.pop(task_id, None)
        self.unread[task_id] = None
        if len(self.unread) > MOST_UNREAD:
            del self.unread[next(iter(self.unread))]

    def take(self, task_id: str) -> list[Waiter | Callback]:
        """Return who waits for a task that has ended, and forget them."""
        with self._lock:
            if self._left:
                self._sort_out()
            found = self.tasks.pop(task_id, None)
            if found is None:
                return []
            if found.asked > 1:
                self._note_unread(task_id)
            for who in found.who:
                if not isinstance(who, Waiter):
                    self._callbacks -= 1
                elif who.remaining <= {task_id}:
                    self._waiters.pop(who, None)
            return found.who

    @property
    def first_waiter(self) -> Waiter | None:
        """The thread that has waited longest."""
        with self._lock:
            return next(iter(self._waiters), None)

    @property
    def has_callbacks(self) -> bool:
        """True while a callback is to be called."""
        with self._lock:
            if self._left:
                self._sort_out()
            return self._callbacks > 0

    # --- asking again --------------------------------------------------------------------------------------------

    def until_due(self) -> float:
        """Return seconds until the server is to be asked about something."""
        return max(0.0, self._due - time.monotonic())

    def due(self) -> list[str]:
        """Return the tasks to ask about now, some of them, and take them for asked."""
        now, found = time.monotonic(), list[str]()
        if now < self._due:
            return found
        with self._lock:
            if self._left:
                self._sort_out()
            self._due = math.inf
            for task_id, watch in self.tasks.items():
                if watch.ask_at <= now and len(found) < PIECE:
                    found.append(task_id)
                    watch.ask_at, watch.pause = now + watch.pause, min(2 * watch.pause, LONGEST_PAUSE)
                    watch.asked += 1
                self._due = min(self._due, watch.ask_at)
            self._due = max(self._due, now + BETWEEN)
        return found

    def all_due(self) -> None:
        """Ask about all again, from the beginning: something was lost, or may have been."""
        with self._lock:
            for watch in self.tasks.values():
                watch.ask_at, watch.pause = 0.0, FIRST
                watch.asked += 1
            self._due = 0.0

    def expiring(self, left: dict[str, int]) -> None:
        """Ask about tasks when they will have expired: id → ms until then."""
        with self._lock:
            for task_id, ms in left.items():
                if (watch := self.tasks.get(task_id)) is not None:
                    watch.ask_at = min(watch.ask_at, time.monotonic() + ms / 1000 + AFTER)
                    self._due = min(self._due, watch.ask_at)
