"""StreamOutlet: the way of one run's items to the store: a thread sends what has come since it sent last.

So a slow task's items go at once, each by itself, and a fast one's in batches. What waits here is bounded. What is added is
fenced: see lua/stream_add.lua.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from hotqueue.errors import STORE_ERRORS, ConnectionFailed, Interruption, LeaseLost, SerializationError
from hotqueue.signing import Signer
from hotqueue.sizes import PAYLOAD_MAX, TooLarge, in_words
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.streams import ADDED, FULL, NEW, ON, Place
from hotqueue.tasks.context import Request
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import items, payload
from hotqueue.tasks.worker import failpoints

BATCH_BYTES, BATCH_ITEMS = 64 * 1024, 1000
WAITING = 512 * 1024  # bytes of items that wait to be sent, from which the task is slowed
EACH = 100  # bytes that an item takes beside its own
STAYS_MS = 3_600_000  # how long a stream stays of whose task nothing is heard any more, at the least
TOUCH = 600.0  # seconds without an item after which it is said that the stream is to stay
LEAST_MS = 60_000  # how long it stays after the end, at the least: those who read it are not done


class StreamOutlet:
    """Where the items of one run go; see `execution.streaming.Outlet`."""

    def __init__(self, broker: Broker, request: Request, options: TaskOptions, signer: Signer | None) -> None:
        self._broker, self._request, self._options, self._signer = broker, request, options, signer
        self._run = os.urandom(8).hex()
        self._most = min(BATCH_ITEMS, max(1, options.stream_max // 4))
        self._line: SimpleQueue[bytes | None] = SimpleQueue()
        self._came, self._went = 0, 0  # bytes: each is changed by one thread alone
        self._index = 0  # of the item that comes next
        self._sent = -1  # index of the next one to be sent; -1: the run has not begun in the store
        self._attempt = 0
        self._error: BaseException | None = None
        self.is_done = False
        threading.Thread(target=self._send_all, name="hotqueue-stream", daemon=True).start()

    # --- the task's thread ---------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """True while what waits is to be sent first; or where it is not known yet from which item on."""
        is_behind = self._came - self._went > WAITING or (self._sent < 0 and self._options.stream_deterministic)
        return is_behind and self._error is None and not self._request.lost

    def put(self, value: Any) -> None:
        """Take an item."""
        self.check()
        index, self._index = self._index, self._index + 1
        if index < self._sent and self._options.stream_deterministic and not self._came:
            return  # an attempt before this one has stored it
        try:
            data = pickled(value, self._request.task, index)
        except SerializationError:
            self._index = index
            raise
        self._came += len(data) + EACH
        self._line.put(data)

    def check(self) -> None:
        """Raise what an item met."""
        if self._request.lost:
            raise _lost(self._request)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Take no more."""
        self._line.put(None)

    # --- the thread that sends -----------------------------------------------------------------------------------

    def _send_all(self) -> None:
        leave_ctrl_c_to_main()
        try:
            self._sent = self._add([], NEW if not self._options.stream_deterministic else ON, self._stays_ms)
            is_last = False
            while not is_last:
                batch, is_last = self._next_batch()
                if failpoints.IS_ARMED:
                    failpoints.at("before_add")
                self._sent = self._add(batch, "", _stays_on_ms(self._options) if is_last else self._stays_ms)
                if failpoints.IS_ARMED:
                    failpoints.at("after_add")
                self._went += sum(map(len, batch)) + EACH * len(batch)
        except BaseException as error:
            self._error = error
        finally:
            self.is_done = True

    @property
    def _stays_ms(self) -> int:
        return max(STAYS_MS, _stays_on_ms(self._options))

    def _next_batch(self) -> tuple[list[bytes], bool]:
        """Return what is to be sent, and whether nothing comes after it; nothing, where nothing came for long."""
        batch: list[bytes] = []
        size = 0
        try:
            while size < BATCH_BYTES and len(batch) < self._most:
                item = self._line.get(timeout=TOUCH) if not batch else self._line.get_nowait()
                if item is None:
                    return batch, True
                batch.append(item)
                size += len(item)
        except Empty:
            pass
        return batch, False

    def _add(self, batch: list[bytes], begin: str, ttl_ms: int) -> int:
        """Store a batch; return how many items there are. Waits for readers that hold the task up, and for the server."""
        request, pause = self._request, 0.002
        at = max(0, self._sent)
        data = items.encode(batch, request.id, self._attempt, at + len(batch), self._signer) if batch else b""
        while not request.lost:
            try:
                place = Place(self._attempt, at)
                code, self._attempt, count = self._broker.stream_add(
                    request.worker, request.id, self._run, place, (len(batch), data), begin, self._options.stream_max, ttl_ms
                )
            except ConnectionFailed as error:
                if not error.retry:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 1.0)
                continue
            if code == ADDED:
                return count
            if code != FULL:
                break
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        raise _lost(request)


def _stays_on_ms(options: TaskOptions) -> int:
    return max(LEAST_MS, int(options.result_expires * 1000))


def end_stream(broker: Broker, task_id: str, options: TaskOptions) -> None:
    """Have what a task has yielded, which ends here without a run, go as it would have at the end of one."""
    with contextlib.suppress(*STORE_ERRORS):  # it goes later
        broker.stream_ends(task_id, _stays_on_ms(options))


def _lost(request: Request) -> LeaseLost:
    return LeaseLost(f"{request.task} was given up here: nobody takes its items any more")


def pickled(value: Any, name: str, index: int) -> bytes:
    """Return an item of a task as it travels; SerializationError where it cannot."""
    try:
        return payload.dumps(value)
    except Interruption:
        raise
    except Exception as error:
        raise _unstorable(name, index, value, error) from error


def _unstorable(name: str, index: int, value: Any, error: Exception) -> SerializationError:
    why = f"{type(value).__name__} cannot be pickled ({error})"
    if isinstance(error, TooLarge):
        why = f"it takes {in_words(error.size)} pickled, and an item may have {in_words(PAYLOAD_MAX)}"
    return SerializationError(f"{name} yielded an item, number {index}, that cannot be stored: {why}; yield something that can")
