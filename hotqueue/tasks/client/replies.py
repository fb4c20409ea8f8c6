"""Replies: one reply list and one connection for all that a process waits for at one queue; no polling.

Leader and followers: whichever thread waits first reads the list for everyone, and hands over when it has its own answers,
so that a lone `get()` pays for no thread. What a message may block for, such as a large record or a callback of the user's, is
done by whoever it is for. Lost messages hang nobody: see `_read` and waiters.py, docs/decisions/0036.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from hotqueue.errors import STORE_ERRORS, ConnectionFailed, NoThread, QueueFull
from hotqueue.runtime.ending import in_thread, start_thread
from hotqueue.runtime.interrupts import within
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.reply_connection import MOST
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.answers import Answer, pieces, poll, with_records
from hotqueue.tasks.client.delivering import Delivering
from hotqueue.tasks.client.waiters import Callback, Waiter, Watches

log = logging.getLogger("hotqueue.worker")

SLICE = 1.0  # seconds a leader blocks at most
IDLE = 10.0  # seconds without callbacks after which the thread that reads for them ends
STOPPED = 5.0  # seconds that a read may take beyond its time before we take ourselves for having been stopped
LATE = 10.0  # seconds after which somebody else reads, should the one who was to have gone away without a word


class Replies(Delivering):
    """The reply list of this process at one queue."""

    def __init__(self, broker: Broker, end_expired: Callable[[str, int], None]) -> None:
        super().__init__(broker, end_expired)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._client = os.urandom(8).hex()
        self._watches = Watches()
        self._connection = self._broker.reply_connection(self._client, SLICE)
        self.trouble = ""  # why no connection of our own can be had; the list is then read over that of any command
        self._lock = threading.Lock()  # of what follows
        self._leader: Waiter | None = None
        self._leads_until = 0.0
        self._reader = Waiter(())  # the thread that reads for callbacks, as one who waits
        self._thread: threading.Thread | None = None
        self._jobs: deque[Callable[[], object]] = deque()

    def wait(self, ids: Iterable[str], timeout: float | None, until_error: bool = False) -> dict[str, Answer]:
        """Return the answers that came within `timeout` seconds (None: wait for all, for ever), or until one is an error."""
        if self._pid != os.getpid():
            self._reset()
        waiter = Waiter(ids, until_error)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._watches.enter(waiter)
            if not self._ask_and_read(waiter, SLICE if timeout is None else min(SLICE, timeout)):
                self._ask_for(waiter, deadline)
            while waiter.is_waiting:
                left = SLICE if deadline is None else min(SLICE, deadline - time.monotonic())
                if left <= 0:
                    break
                self._wait_a_slice(waiter, left, lambda: waiter.is_waiting)
                if until_error:
                    self._look_into(waiter)
        finally:
            self._watches.leave(waiter)
            if self._watches.tasks:
                self._hand_over()
        # A copy: after a failure others may still be delivered, in the thread that reads.
        return dict(waiter.answers) if waiter.has_failed else with_records(self._broker, waiter.answers)

    def _look_into(self, waiter: Waiter) -> None:
        """Read the large records that came so far: one of them may be an error."""
        large = {task_id: answer for task_id, answer in list(waiter.answers.items()) if answer.status == "B"}
        with contextlib.suppress(*STORE_ERRORS):  # at the latest they are read when all is there
            for task_id, answer in with_records(self._broker, large).items():
                waiter.deliver(task_id, answer)

    def subscribe(self, task_id: str, callback: Callback) -> None:
        """Have `callback` called, in some thread, when the task ends; for futures and asyncio."""
        self.watch(task_id, callback)
        self.ask([task_id])

    def watch(self, task_id: str, callback: Callback) -> None:
        """Register a callback, which is to return at once; the caller sees to it that the server is asked.

        Raises:
            NoThread: the program ends, and no thread can be had that would call it.
        """
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._watches.add(task_id, callback)
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._read_for_callbacks, name="hotqueue-replies", daemon=True)
                self._thread = thread if start_thread(thread) else None
            self._reader.awake.set()
        if self._thread is None:
            self.unwatch(task_id, callback)
            raise NoThread("the program ends, and no thread can be had that waits for results: use result.get(timeout=…) there")

    def unwatch(self, task_id: str, callback: Callback) -> None:
        """Forget a callback; for any thread, at any moment."""
        self._watches.remove(task_id, callback)

    def later(self, job: Callable[[], object]) -> None:
        """Have the thread that reads for callbacks do something within a second or so, if it is there still.

        For what the garbage collector runs, at any moment: takes no lock, and wakes nobody.
        """
        self._jobs.append(job)

    def ask(self, ids: Sequence[str]) -> None:
        """Ask the server about tasks that are watched."""
        for some in pieces(ids):
            self._ask(some, None)

    async def aask(self, ids: Sequence[str]) -> None:
        """Ask the server about tasks that are watched, from an event loop."""
        for some in pieces(ids):
            try:
                self._watches.expiring(await self._broker.await_reply(some, self._client))
            except ConnectionFailed as error:
                if not error.retry:
                    raise
                await in_thread(self._ask, some, None)  # the loop has no connection; the threads may have one

    def close(self) -> None:
        """Close the connection, unless a thread reads it; whoever waits next opens it again, and asks for what it missed."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            if self._leader is None:
                self._connection.close()

    def _ask(self, ids: Sequence[str], timeout: float | None) -> None:
        """Ask the server; on a full one, which cannot register us, read the records instead."""
        patience = 5.0 if timeout is None else min(5.0, timeout)
        try:
            expiring = self._broker.store.repeat(lambda: self._broker.wait(ids, self._client), patience=patience)
        except QueueFull:
            for task_id in ids:
                if (record := self._broker.record(task_id)) is not None:
                    self._dispatch(task_id, Answer("R", record))
        else:
            self._watches.expiring(expiring)

    def _ask_for(self, waiter: Waiter, deadline: float | None) -> None:
        """Ask about all that a thread waits for; what is answered at once is read in between, so that little of it piles up."""
        ids = sorted(waiter.remaining)
        for start in range(0, len(ids), BULK):
            self._ask(ids[start : start + BULK], None if deadline is None else max(0.0, deadline - time.monotonic()))
            if start + BULK < len(ids) and self._take_lead(waiter, 0):
                try:
                    self._read(0)
                finally:
                    self._drop_lead(waiter)

    def _ask_again(self) -> None:
        try:
            if ids := self._watches.due():
                self._ask(ids, SLICE)
        except ConnectionFailed:
            self._watches.all_due()  # whoever waits has a deadline of its own

    def _ask_and_read(self, waiter: Waiter, block: float) -> bool:
        """Ask about one task and read the list in one trip, for whoever leads at once; False: ask in the ordinary way."""
        if block <= 0 or len(waiter.remaining) != 1 or not self._take_lead(waiter, block):
            return False
        try:
            messages, expiring = self._connection.read(within(block), len(self._watches.tasks) > 1, list(waiter.remaining))
            self._take_in(messages)
            if expiring:
                self._watches.expiring(self._broker.expiring(expiring))
        except STORE_ERRORS:  # Redis away, full, or without the script: the ordinary way knows what to do, or to say
            self._watches.all_due()
            return False
        except BaseException:
            self._watches.all_due()  # others' answers may have been on their way here
            raise
        finally:
            self._drop_lead(waiter)
        return True

    def _wait_a_slice(self, waiter: Waiter, left: float, goes_on: Callable[[], bool]) -> None:
        if not self._take_lead(waiter, left):
            waiter.awake.wait(within(left))
            waiter.awake.clear()
            return
        try:
            until = time.monotonic() + left
            while goes_on() and (left := until - time.monotonic()) > 0 and self._take_lead(waiter, left):
                self._read(within(left))
        finally:
            self._drop_lead(waiter)

    def _take_lead(self, who: Waiter, seconds: float) -> bool:
        """Become the one who reads, for some seconds; it passes to another also from one who is gone without a word.

        What a task's limit raises in a thread comes between any two steps, also in the middle of giving the lead back.
        """
        with self._lock:
            now = time.monotonic()
            if self._leader is not None and self._leader is not who:
                if now < self._leads_until:
                    return False
                self._connection = self._broker.reply_connection(self._client, SLICE)  # it may still be at the old one
                self._watches.all_due()
            self._leader, self._leads_until = who, now + seconds + LATE
        return True

    def _drop_lead(self, who: Waiter) -> None:
        with self._lock:
            if self._leader is who:
                self._leader = None
        if self._watches.tasks:
            self._hand_over()

    def _hand_over(self) -> None:
        """Wake one follower, so that somebody reads on."""
        if self._leader is None:
            (self._watches.first_waiter or self._reader).awake.set()

    def _read(self, block: float) -> None:
        """Read and deliver what is there, and ask again: what is due, and all whenever something may have been lost."""
        block, began = min(block, self._watches.until_due()), time.monotonic()
        connection = self._connection
        try:
            try:
                messages, self.trouble = connection.read(block, len(self._watches.tasks) > 1)[0], ""
            except ConnectionFailed as error:
                self.trouble = "" if error.sent else str(error)
                if error.sent:
                    self._watches.all_due()
                messages = poll(self._broker, self._client, max(block, 0.1))
            self._take_in(messages)
        except BaseException:
            self._watches.all_due()
            raise
        if connection.has_changed() or time.monotonic() - began > block + STOPPED:
            self._watches.all_due()
        if len(messages) < MOST:
            self._ask_again()

    def _read_for_callbacks(self) -> None:
        """Read while there are callbacks; a thread, because nobody else may be waiting. Sends nothing while there are none."""
        me, watches, idle_since = self._reader, self._watches, time.monotonic()
        while True:
            while self._jobs:
                with contextlib.suppress(*STORE_ERRORS):
                    self._jobs.popleft()()
            if watches.has_callbacks:
                idle_since = time.monotonic()
                try:
                    self._wait_a_slice(me, SLICE, lambda: watches.has_callbacks)
                except STORE_ERRORS:  # a store that refuses us: the callbacks' owners time out with their own error
                    time.sleep(SLICE)
                except Exception:  # a bug of ours: whoever waits must not wait for ever
                    log.exception("reading results failed; trying again")
                    time.sleep(SLICE)
                continue
            with self._lock:
                if time.monotonic() - idle_since > IDLE and not watches.has_callbacks:
                    self._thread = None  # under the lock: whoever comes next starts another
                    return
            me.awake.wait(1 + idle_since + IDLE - time.monotonic())
            me.awake.clear()
