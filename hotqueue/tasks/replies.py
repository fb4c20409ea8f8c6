"""One reply list and one connection for all that a client process waits for at one queue. No polling, no pub/sub.

Leader and followers: whichever thread waits first reads the list for everyone, and hands over when it has its own answers,
so that a lone `get()` pays for no thread. Whoever waits asks again every second: a lost message cannot hang anyone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hotqueue.ending import in_thread, start_thread
from hotqueue.errors import ConnectionFailed, HotQueueError, QueueFull
from hotqueue.tasks.broker import BULK, Broker

SLICE = 1.0  # seconds a leader blocks at most
IDLE = 10.0  # seconds without callbacks after which the thread that reads for them ends
ASK_AGAIN = 5.0  # seconds between questions while other answers come in


@dataclass(slots=True)
class Answer:
    """What the server says of a task: ``R`` its record, ``D`` done without one, ``U`` unknown."""

    status: str
    record: bytes = b""


class NoThread(RuntimeError):
    """Nothing can wait for results beside the work any more."""


Callback = Callable[[str, Answer], None]


class Waiter:
    """One thread's wait for some tasks."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.remaining = set(ids)
        self.answers: dict[str, Answer] = {}
        self.awake = threading.Event()

    def deliver(self, task_id: str, answer: Answer) -> None:
        """Take an answer."""
        self.answers[task_id] = answer
        self.remaining.discard(task_id)
        if not self.remaining:
            self.awake.set()


class Replies:
    """The reply list of this process at one queue.

    Args:
        end_expired: called with a task's id and how many ms it is past its expiry; ends it if it still waits.
    """

    def __init__(self, broker: Broker, end_expired: Callable[[str, int], None]) -> None:
        self._broker = broker
        self._end_expired = end_expired
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._client = os.urandom(8).hex()
        self._lock = threading.Lock()
        self._leading = threading.Lock()
        self._waiters: dict[str, list[Waiter | Callback]] = {}
        self._line = self._broker.reply_line(self._client, SLICE)
        self._asked = 0.0
        self.trouble = ""  # why no connection of our own can be had; the list is then read over that of any command
        self._thread: threading.Thread | None = None

    def wait(self, ids: Iterable[str], timeout: float | None) -> dict[str, Answer]:
        """Return the answers that came within `timeout` seconds (None: wait for all, for ever)."""
        if self._pid != os.getpid():
            self._reset()
        waiter = Waiter(ids)
        deadline = None if timeout is None else time.monotonic() + timeout
        self._enter(waiter, waiter.remaining)
        try:
            if not self._ask_and_read(waiter, SLICE if timeout is None else min(SLICE, timeout)):
                self._ask(sorted(waiter.remaining), timeout if deadline is None else max(0.0, deadline - time.monotonic()))
            while waiter.remaining:
                left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    break
                self._wait_a_slice(waiter, left)
        finally:
            self._leave(waiter)
        return waiter.answers

    def subscribe(self, task_id: str, callback: Callback) -> None:
        """Have `callback` called, in some thread, when the task ends; for futures and asyncio."""
        self.watch(task_id, callback)
        self._ask([task_id], None)

    def watch(self, task_id: str, callback: Callback) -> None:
        """Register a callback; the caller sees to it that the server is asked.

        Raises:
            NoThread: the program ends, and no thread can be had that would call it.
        """
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._waiters.setdefault(task_id, []).append(callback)
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._lead_for_callbacks, name="hotqueue-replies", daemon=True)
                self._thread = thread if start_thread(thread) else None
        if self._thread is None:
            self._remove(task_id, callback)
            raise NoThread("the program ends, and no thread can be had that waits for results: use result.get(timeout=…) there")

    def unwatch(self, task_id: str, callback: Callback) -> None:
        """Forget a callback."""
        self._remove(task_id, callback)

    def ask(self, ids: list[str]) -> None:
        """Ask the server about tasks that are watched."""
        self._ask(ids, None)

    async def aask(self, task_id: str) -> None:
        """Ask for one task, from an event loop."""
        try:
            await self._broker.await_reply([task_id], self._client)
        except ConnectionFailed as error:
            if not error.retry:
                raise
            await in_thread(self._ask, [task_id], None)  # the loop has no connection; the threads may have one

    # --- the list ------------------------------------------------------------------------------------------------

    def _enter(self, waiter: Waiter, ids: Iterable[str]) -> None:
        with self._lock:
            for task_id in ids:
                self._waiters.setdefault(task_id, []).append(waiter)

    def _leave(self, waiter: Waiter) -> None:
        for task_id in waiter.remaining:
            self._remove(task_id, waiter)

    def _remove(self, task_id: str, waiter: Waiter | Callback) -> None:
        with self._lock:
            found = self._waiters.get(task_id, [])
            if waiter in found:
                found.remove(waiter)
            if not found:
                self._waiters.pop(task_id, None)

    def _ask(self, ids: list[str], timeout: float | None) -> None:
        """Ask the server; on a full one, which cannot register us, read the records instead."""
        for start in range(0, len(ids), BULK):
            some = ids[start : start + BULK]
            patience = 5.0 if timeout is None else min(5.0, timeout)
            try:
                self._broker.store.repeat(lambda some=some: self._broker.wait(some, self._client), patience=patience)  # type: ignore[misc]
            except QueueFull:
                for task_id in some:
                    if (record := self._broker.record(task_id)) is not None:
                        self._dispatch(task_id, Answer("R", record))

    def _ask_and_read(self, waiter: Waiter, block: float) -> bool:
        """Ask about one task and read the list in one trip, for whoever leads at once; False: ask in the ordinary way."""
        if block <= 0 or len(waiter.remaining) != 1 or not self._leading.acquire(blocking=False):
            return False
        try:
            messages = self._line(block, len(self._waiters) > 1, list(waiter.remaining))
            for message in messages:
                self._deliver(message)
        except HotQueueError:  # Redis away, full, or without the script: the ordinary way knows what to do, or to say
            return False
        finally:
            self._leading.release()
            self._hand_over()
        return True

    def _wait_a_slice(self, waiter: Waiter, left: float) -> None:
        if not self._leading.acquire(blocking=False):
            waiter.awake.wait(left)
            waiter.awake.clear()
            return
        try:
            while waiter.remaining and left > 0:
                began = time.monotonic()
                self._read(left)
                left -= time.monotonic() - began
        finally:
            self._leading.release()
            self._hand_over()

    def _hand_over(self) -> None:
        """Wake one follower, so that somebody reads on."""
        with self._lock:
            for waiting in self._waiters.values():
                for waiter in waiting:
                    if isinstance(waiter, Waiter):
                        waiter.awake.set()
                        return

    def _read(self, block: float) -> None:
        """Read and deliver what is there; ask again when nothing came, or nothing of late."""
        try:
            messages, self.trouble = self._line(block, len(self._waiters) > 1, ()), ""
        except ConnectionFailed as error:
            self.trouble = "" if error.sent else str(error)
            messages = self._poll(block)
        for message in messages:
            self._deliver(message)
        if not messages or time.monotonic() - self._asked > ASK_AGAIN:
            self._ask_again()

    def _poll(self, block: float) -> list[bytes]:
        """Read the list now and then, over the connection of any command: a full server may let us open no other."""
        until, pause = time.monotonic() + block, 0.01
        while True:
            try:
                messages = self._broker.replies_now(self._client)
            except ConnectionFailed:
                time.sleep(min(block, 0.1))
                return []
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.1)

    def _ask_again(self) -> None:
        self._asked = time.monotonic()
        with self._lock:
            ids = list(self._waiters)
        try:
            self._ask(ids, 1.0)
        except ConnectionFailed:
            pass  # whoever waits has a deadline of its own; the next slice asks again

    def _deliver(self, message: bytes) -> None:
        head, _, record = message.partition(b"\0")
        try:
            status, task_id = head[:1].decode(), head[1:].decode()
            late_ms = int(record) if status == "E" else 0
        except ValueError:
            status = ""
        if status == "B":
            stored = self._broker.record(task_id)
            status, record = ("R", stored) if stored is not None else ("U", b"")
        if status == "E":
            self._end_expired(task_id, late_ms)
        elif status in ("D", "U") or (status == "R" and record):
            self._dispatch(task_id, Answer(status, record))
        else:
            self._asked = float("-inf")  # no message of ours: whatever it stands in for, ask the server again

    def _dispatch(self, task_id: str, answer: Answer) -> None:
        with self._lock:
            waiting = self._waiters.pop(task_id, [])
        for waiter in waiting:
            if isinstance(waiter, Waiter):
                waiter.deliver(task_id, answer)
            else:
                waiter(task_id, answer)

    def _lead_for_callbacks(self) -> None:
        """Read while there are callbacks; a thread, because nobody else may be waiting."""
        idle_since = time.monotonic()
        while True:
            with self._lock:
                if any(not isinstance(w, Waiter) for waiting in self._waiters.values() for w in waiting):
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > IDLE:
                    self._thread = None  # under the lock: whoever comes next starts another
                    break
            with self._leading:
                try:
                    self._read(SLICE)
                except HotQueueError:  # a store that refuses us: the callbacks' owners time out with their own error
                    time.sleep(SLICE)
        self._hand_over()
