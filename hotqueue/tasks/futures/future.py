"""Future: what an Executor gives for a call: one of `concurrent.futures`, completed when its task has ended.

Unlike the future of a result (callbacks.py), it is all that the caller wants of the task: who cancels it takes the task back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Any, TypeVar

from hotqueue.errors import STORE_ERRORS, ConnectionFailed, TaskRevoked
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client import callbacks
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record

R = TypeVar("R")


class TaskFuture(Future[R]):
    """A call that was sent, as `concurrent.futures` has it.

    Attributes:
        async_result: the task's AsyncResult: its id, state, progress.
    """

    def __init__(self, async_result: AsyncResult[R]) -> None:
        super().__init__()
        self.async_result = async_result
        self._is_wanted_back = self._is_of_another = False
        self._asking = threading.Lock()  # who comes second is not to be told that the task is gone
        self._to_notify = threading.Lock()  # whoever gets it tells those who wait that it is cancelled

    def cancel(self) -> bool:
        """Take the task back, if no worker has it yet.

        Asks the server, but in an event loop, which is not to stand still: there the future is cancelled at once, and the
        task taken back in a thread, or its outcome thrown away where it is too late for that.

        A unique task that was there before, sent by somebody else, goes on: only this future is cancelled.

        Returns:
            False for a task that runs or has ended: it goes on.

        Raises:
            ConnectionFailed: the server cannot be asked.
        """
        if self.done():
            return self.cancelled()
        if self._is_of_another:
            return self._end_cancelled()
        if _is_in_loop():
            callbacks.callers.call(self._take_back)
            return self._end_cancelled()
        with self._asking:
            return self.cancelled() or (self._take_back() and self._end_cancelled())

    def _take_back(self) -> bool:
        self._is_wanted_back = True
        return self.async_result.revoke() == "revoked"

    def _end_cancelled(self) -> bool:
        is_cancelled = super().cancel()
        if is_cancelled and self._to_notify.acquire(blocking=False):
            self.set_running_or_notify_cancel()
        return is_cancelled

    def running(self) -> bool:
        """Tell whether a worker has the task in hand; asks the server."""
        return not self.done() and self.async_result.state is State.STARTED

    def _deliver(self, _task_id: str, answer: Answer) -> None:
        """Complete it, in a thread that may be held up by its callbacks."""
        if handle_of(self.async_result).sandbox is None:
            callbacks.callers.call(partial(self._completed, answer))
        else:
            self._completed(answer)  # inside queue.testing() all is done when the call returns

    def _completed(self, answer: Answer) -> None:
        """Give it the outcome of the task."""
        try:
            self._complete(answer)
        except InvalidStateError:
            pass  # it was cancelled, in an event loop, while the task ran

    def _complete(self, answer: Answer) -> None:
        try:
            value = handle_of(self.async_result).outcome(answer, True)
        except TaskRevoked as error:
            if self._is_wanted_back:
                self._end_cancelled()
            else:
                self.set_exception(error)
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(value)


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def join_others(futures: Sequence[TaskFuture[Any]], ids: Sequence[str]) -> None:
    """Have futures be those of the tasks with these ids: where another's is that of a unique one which was there before."""
    for future, task_id in zip(futures, ids, strict=True):
        handle = handle_of(future.async_result)
        future._is_of_another, handle.id = handle.id != task_id, task_id


def wait_for(futures: Sequence[TaskFuture[Any]]) -> None:
    """Have futures completed when their tasks end, all of one queue."""
    replies = handle_of(futures[0].async_result).replies
    for future in futures:
        replies.watch(future.async_result.id, future._deliver)
    try:
        replies.ask([future.async_result.id for future in futures])
    except ConnectionFailed:
        pass  # it was sent; whoever reads the replies asks again


def cancel_all(futures: Iterable[TaskFuture[Any]]) -> None:
    """Take back what no worker has yet, a thousand in one trip; what cannot be asked about goes on."""
    wanted: dict[Broker, list[TaskFuture[Any]]] = {}
    for future in futures:
        if future.done():
            continue
        if future._is_of_another or _is_in_loop():  # see `cancel`
            future._end_cancelled()
        if not future._is_of_another:
            future._is_wanted_back = True
            wanted.setdefault(handle_of(future.async_result).broker, []).append(future)
    for broker, some in wanted.items():
        if _is_in_loop():
            callbacks.callers.call(partial(_take_back_all, broker, some))
        else:
            _take_back_all(broker, some)


def _take_back_all(broker: Broker, futures: Sequence[TaskFuture[Any]]) -> None:
    for start in range(0, len(futures), BULK):
        some = futures[start : start + BULK]
        try:
            taken = _taken_back(broker, [future.async_result.id for future in some])
        except STORE_ERRORS:
            return
        for future in some:
            if future.async_result.id in taken:
                future._end_cancelled()


def _taken_back(broker: Broker, ids: list[str]) -> Collection[str]:
    """Revoke tasks; return which of them have ended so. What a worker has in hand, unstarted, ends so later, by it."""
    if broker.revoke_steps(ids) == len(ids):
        return ids
    known = {each: record.glimpse(data) for each, data in zip(ids, broker.records(ids), strict=True) if data is not None}
    return {each for each, found in known.items() if found is not None and found[0] is State.REVOKED}
