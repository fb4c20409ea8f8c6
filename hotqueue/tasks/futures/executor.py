"""Executor: the workers of a queue as a `concurrent.futures.Executor`, for programs that know no other interface.

Its calls are tasks like any others: they travel by value where they must, and outlive the process that sent them.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, ParamSpec, TypeVar, cast

from hotqueue.errors import DuplicateTask, NotTaken, QueueFull
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.client import Owner
from hotqueue.tasks.client.definition import Definition, definition_of
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.method import TaskMethod
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.futures.future import TaskFuture, cancel_all, join_others, wait_for
from hotqueue.tasks.futures.together import Together
from hotqueue.tasks.rules import options as rules
from hotqueue.tasks.rules.options import seconds

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Call = tuple[Any, ...]  # the positional arguments of one
_NOT_HERE = {
    "bind": "define a task with @queue.task(bind=True), and submit that",
    "ignore_result": "a future is there for the result",
    "max_workers": "calls run on the workers of its queue, as many as hotqueue-worker was started with (-p, -t)",
}


class Executor(concurrent.futures.Executor):
    """Runs calls on the workers of a queue.

    >>> with Executor(queue) as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024

    Args:
        queue: the HotQueue; any worker of it will do, one without a module of its own, too (``hotqueue-worker -Q NAME``).
        time_limit: seconds that a call may take.
        retries: how often a call that raised is tried again.
        **options: further options of `@queue.task`.

    Raises:
        TypeError, ValueError: an option that is none, or makes no sense here.
    """

    __module__ = "hotqueue"

    def __init__(self, queue: Owner, *, time_limit: float | timedelta | None = None, retries: int = 0, **options: Any) -> None:
        if not isinstance(queue, Owner):
            raise TypeError(f"Executor() takes a HotQueue, not {queue!r:.80}")
        for name in _NOT_HERE.keys() & options.keys():
            raise TypeError(f"Executor() takes no {name}=: {_NOT_HERE[name]}")
        given = {"time_limit": time_limit, "retries": retries, **options}
        self.queue = queue
        self._options = rules.make(given, "Executor()")
        self._unfinished = _Unfinished()

    def __repr__(self) -> str:
        return f"<Executor of queue {self.queue.name!r}{', shut down' if self._unfinished.is_closed else ''}>"

    # --- sending -------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[R]:
        """Send a call; return its future.

        Args:
            fn: anything that can be called, by value; a task of this queue goes with its own options.

        Raises:
            RuntimeError: after `shutdown`.
            TypeError, SerializationError, ConnectionFailed, QueueFull: as `delay` of a task.
        """
        return self._send(self._definition(fn, "submit()"), [((*_before(fn), *args), kwargs)])[0]

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | timedelta | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call `fn` with the first items of all iterables, then with the second ones, and so on; yield the results, in order.

        Args:
            timeout: seconds from now on until the last result has to be there.
            chunksize: calls that make one task.
            buffersize: calls (or chunks) that are sent ahead of what was yielded; None: all of them, at once.

        Returns:
            An iterator. What it did not get to, because a call raised, or time was up, or nobody asked on, is taken back.

        Raises:
            RuntimeError: after `shutdown`.
            TimeoutError: from the iterator, when a result comes too late.
            ConnectionFailed, QueueFull, SerializationError: a call was refused; what waits of those before it is taken back.
        """
        if buffersize is not None and (not isinstance(buffersize, int) or isinstance(buffersize, bool)):
            raise TypeError(f"map(buffersize=) takes an int or None, not {buffersize!r:.80}")
        for name, value in (("chunksize", chunksize), ("buffersize", buffersize)):
            if value is not None and value < 1:
                raise ValueError(f"map({name}=) takes a number from 1, not {value!r}")
        deadline = None if timeout is None else time.monotonic() + seconds(timeout, "map(timeout=)")
        calls: Iterator[Call] = zip(*iterables, strict=False)
        if chunksize > 1:
            definition = self._definition(Together(fn), "map()")
            chunks = self._results(definition, _chunks(calls, chunksize), deadline, buffersize)
            return (result for chunk in chunks for result in chunk)
        if before := _before(fn):
            calls = ((*before, *args) for args in calls)
        return self._results(self._definition(fn, "map()"), calls, deadline, buffersize)

    def _definition(self, fn: Callable[..., Any], where: str) -> Definition:
        if isinstance(fn, Task | TaskMethod):
            definition = definition_of(fn)
            if definition.after:
                raise TypeError(
                    f"Executor.{where} got task {definition.name}, which waits for results of others (depends_on=), as no future "
                    "does; send it by its delay(), whose result has as_future()"
                )
            return definition
        if not callable(fn):
            raise TypeError(f"Executor.{where} takes what can be called, not {fn!r:.80}")
        return Definition(fn, registry_of(self.queue), None, self._options, by_value=True)

    def _send(self, definition: Definition, calls: Iterable[tuple[Call, dict[str, Any]]]) -> list[TaskFuture[Any]]:
        """Send calls, at most BULK of them; return their futures."""
        client, when, name = definition.client, definition.when(), definition.queue
        futures: list[TaskFuture[Any]] = []
        tasks: list[Encoded] = []
        for args, kwargs in calls:
            task_id = os.urandom(16).hex()
            tasks.append(Encoded(task_id, *when, definition.encode(task_id, args, kwargs, definition.options, name)))
            futures.append(TaskFuture(AsyncResult(Handle(task_id, client, name))))
        self._unfinished.add(futures)
        try:
            broker = client.broker_of(name)  # past a batch: whoever submits waits for it
            if definition.options.unique:
                join_others(futures, broker.enqueue_unique(tasks))
            else:
                broker.enqueue(tasks)
            wait_for(futures)
        except (DuplicateTask, NotTaken, QueueFull):
            cancel_all(futures)  # a part may have been stored, see BoundedBroker.enqueue
            self._unfinished.discard(futures)
            raise
        except BaseException:
            self._unfinished.discard(futures)
            raise
        return futures

    def _send_all(self, definition: Definition, calls: Iterator[Call]) -> Iterator[TaskFuture[Any]]:
        while some := list(islice(calls, BULK)):
            yield from self._send(definition, [(args, {}) for args in some])

    # --- results of map ------------------------------------------------------------------------------------------

    def _results(
        self, definition: Definition, calls: Iterator[Call], deadline: float | None, buffersize: int | None
    ) -> Iterator[Any]:
        """Send what goes ahead, now; return an iterator over the results."""
        ahead, behind = (calls, iter(())) if buffersize is None else (islice(calls, buffersize), calls)
        sent: deque[TaskFuture[Any]] = deque()
        try:
            sent.extend(self._send_all(definition, ahead))
        except BaseException:
            cancel_all(sent)
            raise
        return self._yielded(definition, sent, behind, deadline)

    def _yielded(
        self, definition: Definition, sent: deque[TaskFuture[Any]], behind: Iterator[Call], deadline: float | None
    ) -> Iterator[Any]:
        try:
            while sent:
                for args in islice(behind, 1):
                    sent += self._send(definition, [(args, {})])
                yield _result_of(sent, deadline)
        finally:
            if cancel_all is not None:  # Python takes names away at its end, and an error may have kept this until then
                cancel_all(sent)

    # --- the end -------------------------------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls.

        Args:
            wait: until all that were sent have ended.
            cancel_futures: take those back that no worker has yet.
        """
        unfinished = self._unfinished.close()
        if cancel_futures:
            cancel_all(unfinished)
        if wait:
            concurrent.futures.wait(unfinished)


class _Unfinished:
    """The futures of calls that have not ended: whether anybody holds on to them or not, they are waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._futures: set[TaskFuture[Any]] = set()
        self.is_closed = False

    def add(self, futures: Iterable[TaskFuture[Any]]) -> None:
        with self._lock:
            if self.is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._start_over_in_a_fork()
            self._futures.update(futures)
        for future in futures:
            future.add_done_callback(self._forget)

    def _start_over_in_a_fork(self) -> None:
        if self._pid != os.getpid():  # what was sent before is the parent's
            self._pid = os.getpid()
            self._futures.clear()

    def _forget(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._futures.discard(cast(TaskFuture[Any], future))

    def discard(self, futures: Iterable[TaskFuture[Any]]) -> None:
        with self._lock:
            self._futures.difference_update(futures)

    def close(self) -> list[TaskFuture[Any]]:
        """Take no more; return what is left."""
        with self._lock:
            self.is_closed = True
            self._start_over_in_a_fork()
            return list(self._futures)


def _result_of(sent: deque[TaskFuture[Any]], deadline: float | None) -> Any:
    """Return the result of the first future, which nobody holds on to from then on; take it back when that takes too long."""
    future = sent.popleft()
    try:
        return future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except BaseException:
        cancel_all([future])
        raise
    finally:
        del future  # else a traceback keeps it, and so its result, alive


def _before(fn: object) -> tuple[Any, ...]:
    """Return what a method that is a task is called with in front of its arguments: its instance."""
    return (fn.__self__,) if isinstance(fn, TaskMethod) else ()


def _chunks(calls: Iterator[Call], size: int) -> Iterator[Call]:
    while chunk := list(islice(calls, size)):
        yield (chunk,)
