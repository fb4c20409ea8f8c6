"""The methods of HotQueue for tasks, a line each; the rest of tasks/ is imported when the first is called."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from hotqueue.hints import hinting
from hotqueue.tasks.operating import Operating

if TYPE_CHECKING:
    from hotqueue.tasks.client.batch import Batch
    from hotqueue.tasks.client.dead import DeadList, DeadTask
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.client.resultset import ResultSet
    from hotqueue.tasks.client.schedule import Schedule
    from hotqueue.tasks.client.task import AsyncTask, Task
    from hotqueue.tasks.rules.periodic import crontab
    from hotqueue.tasks.testing.eager import Eager
    from hotqueue.tasks.workflow.graph import Workflow

P = ParamSpec("P")
R = TypeVar("R")


class TaskMethods(Operating):
    """What a queue can do with tasks."""

    def _stop_waiting(self) -> None:
        """Close the connections on which results are waited for; whoever waits next connects again."""
        if self._registry is not None:
            self._registry.close()

    @property
    def _dead(self) -> DeadList:
        from hotqueue.tasks.client.dead import DeadList

        return DeadList(self._tasks.broker)

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self, *, bind: Literal[True], **options: Any
    ) -> Callable[[Callable[Concatenate[Task[..., Any], P], R]], Task[P, R]]: ...
    @overload
    def task(self, **options: Any) -> _Decorator: ...
    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:  # type: ignore[misc]
        """Make a task of a function: ``@queue.task`` or ``@queue.task(retries=3, …)``.

        Args:
            options: name, bind, retries, max_retries, autoretry_for, dont_autoretry_for, retry_backoff, retry_backoff_max,
                retry_jitter, default_retry_delay, max_deliveries, time_limit, soft_time_limit, ignore_result,
                result_expires, priority, queue, expires, max_concurrency, concurrency_key, rate_limit,
                rate_limit_key, fair_key, unique, unique_for, unique_until, on_conflict, stream_max, stream_deterministic,
                sensitive, depends_on (results that each call waits for which names none itself; they are no part of a pickle of
                the task by value); times in seconds.

        Raises:
            TypeError: an unknown option, naming the nearest known one.
        """
        return self._tasks.task(function, options)

    def periodic(self, when: str | float | timedelta | crontab, /, **options: Any) -> _Decorator:
        """Make a task of a function, and call it at its times: ``@queue.periodic("*/5 * * * *")`` or ``@queue.periodic(30)``.

        It is called by the workers that serve this queue, once a slot however many there are, as long as a live one declares it.

        Args:
            when: a cron string, seconds or a timedelta between two slots, or `crontab(…)` of `hotqueue.tasks`.
            options: name (of the schedule; the task's by default), tz="UTC" (an IANA name), args=(), kwargs=None,
                misfire="once"|"skip"|"all" (of slots that passed while no worker lived), overlap="allow"|"skip" (while the last
                call has not ended), jitter=0 (seconds at most by which a slot is put off), until (an aware datetime); and
                those of `task`.

        Raises:
            TypeError, ValueError: as `task`; what is no time, or no option of these.
            ConfigError: another schedule of this queue has this name.
        """
        from hotqueue.tasks.client.schedules import Schedules

        return Schedules(self._tasks).periodic(when, options)  # type: ignore[return-value]

    def schedule(
        self,
        name: str,
        when: str | float | timedelta | crontab,
        task: Task[..., Any] | Callable[..., Any] | str,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Schedule:
        """Have a task called at its times from now on, until the schedule is removed; one of the same name is changed.

        Args:
            name: of the schedule; unique in this queue.
            when, options: as of `periodic`, but that the task's options are those that one call may have.
            task: a task, its name, or a function, which travels by value if no worker can import it.

        Raises:
            TypeError, ValueError: as `periodic`.
            ConfigError: a live worker declares one of this name in its code.
            SerializationError: an argument cannot travel.
        """
        from hotqueue.tasks.client.schedules import Schedules

        return Schedules(self._tasks).make(name, when, task, {**options, "args": args, "kwargs": kwargs})

    def schedules(self) -> list[Schedule]:
        """Return the schedules of this queue: those that workers declare, and those that `schedule` made."""
        from hotqueue.tasks.client.schedules import Schedules

        return Schedules(self._tasks).listed()

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send a call of any callable, by value; a worker that has none of its code can run it."""
        return self._tasks.submit(function, args, kwargs)

    def send(
        self, name: str, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[Any]:
        """Send a call of a task by its name, from a program that need not have its code.

        >>> queue.send("shop.tasks.price", (17,), {"currency": "EUR"}, countdown=10)

        It is looked up where it is run: a name that no worker knows waits for one that does. There the decorator's options hold
        for retries, time limits and results. Those that decide where and when it waits (queue, priority, expires, limits, keys)
        are spent here, so say them here: docs/tasks.md.

        Args:
            name: as `task.name` has it: ``module.function``, unless its author said otherwise.
            args: positional arguments.
            kwargs: keyword arguments.
            options: as of `Task.apply_async`; keys such as ``concurrency_key="tenant-{tenant}"`` are made of `kwargs`.

        Raises:
            As `Task.apply_async`; TypeError for what is no name; TaskNotRegistered inside `queue.testing()`.
        """
        if linked := self._tasks.linked_by_name(name, options):
            return linked.apply_async(args, kwargs)
        call = self._tasks.call_by_name(name, args, kwargs, options)
        self._tasks.send(call.queue, [call.task], call.handles)
        return call.result

    async def asend(
        self, name: str, args: Iterable[Any] | None = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[Any]:
        """Asyncio twin of `send`."""
        if linked := self._tasks.linked_by_name(name, options):
            return await linked.aapply_async(args, kwargs)
        call = self._tasks.call_by_name(name, args, kwargs, options)
        await self._tasks.asend(call.queue, [call.task], call.handles)
        return call.result

    def batch(self) -> Batch:
        """Return a context manager, sync and async, inside of which this thread's or asyncio task's calls are collected.

        They are sent at its end, 1,000 in a trip, each trip whole or not at all; nothing is when the block raises. When the
        sending fails, the batch's `send()` may be called again: no task is doubled.
        """
        from hotqueue.tasks.client.batch import Batch

        return Batch(self._tasks)

    def result(self, task_id: str) -> AsyncResult[Any]:
        """Return the handle to a task of this queue by its id."""
        from hotqueue.tasks.client.handle import Handle, check_id
        from hotqueue.tasks.client.result import AsyncResult

        return AsyncResult(Handle(check_id(task_id, "queue.result()"), self._tasks))

    def results(self, group_id: str) -> ResultSet[Any]:
        """Return the results of a group that was sent to this queue, by its id.

        Raises:
            UnknownTask: there is none, or its results have expired.
        """
        from hotqueue.tasks.client.handle import check_id
        from hotqueue.tasks.workflow.results import results

        return results(self._tasks, check_id(group_id, "queue.results()"))

    def workflow(self, workflow_id: str) -> Workflow:
        """Return a workflow that was sent to this queue, by the id of one of its steps, or of its results: who waits for whom.

        Raises:
            UnknownTask: there is none, or its results have expired.
        """
        from hotqueue.tasks.client.handle import check_id
        from hotqueue.tasks.workflow.results import workflow

        return workflow(self._tasks, check_id(workflow_id, "queue.workflow()"))

    @property
    def tasks(self) -> dict[str, Task[..., Any]]:
        """The tasks defined on this queue object, by name."""
        return dict(self._tasks.tasks)

    def pending(self) -> int:
        """Return how many tasks wait: ready, in lanes, behind other steps, parked or scheduled, but not in a worker's hand."""
        return self._tasks.broker.counts()["waiting"]

    def running(self) -> int:
        """Return how many tasks workers have in hand."""
        counts = self._tasks.broker.counts()
        return max(0, counts["unfinished"] - counts["waiting"])

    def scheduled(self) -> int:
        """Return how many tasks wait for their time."""
        return self._tasks.broker.counts()["scheduled"]

    @hinting
    def dead(self, *, start: int = 0, limit: int | None = None) -> Iterator[DeadTask]:
        """Return an iterator over the dead list, newest first; it reads a page of at most 100 tasks, and about 4 MB, at a time.

        Those that are there all the while come once each, whatever is retried, discarded, or dies in the meantime.

        Args:
            start: how many of the newest to pass over.
            limit: how many to yield at most; None is all.

        Raises:
            TypeError: one of them is no number from 0.
        """
        return self._dead.listed(start, limit)

    def retry_dead(self, task_id: str | AsyncResult[Any] | None = None, *, all: bool = False) -> int:
        """Put one dead task, or all of them, back into the queue with a clean slate; return how many.

        Raises:
            DuplicateTask: it is unique, and another one with its key is there. With `all`, such ones stay dead, uncounted.
        """
        return self._dead.retry(task_id, all)

    def discard_dead(self, task_id: str | AsyncResult[Any] | None = None, *, all: bool = False) -> int:
        """Throw one dead task, or all of them, away; return how many. See `undo_discard`."""
        return self._dead.discard(task_id, all)

    def workers(self) -> list[dict[str, str]]:
        """Return what the live workers of this queue say of themselves."""
        return self._tasks.broker.workers()

    @hinting
    def run_worker(
        self, *, burst: bool = False, threads: int = 1, async_concurrency: int = 100, max_tasks: int | None = None
    ) -> int:
        """Run a worker in this process, for tests and scripts; weaker than `hotqueue-worker`, see docs/guarantees.md.

        Args:
            burst: return when nothing is left that is ready within a second; else work until Ctrl-C.

        Returns:
            How many tasks it brought to an end.

        Raises:
            ValueError, TypeError: a number that is none, or less than 1.
        """
        from hotqueue.tasks.supervisor.inprocess import run_worker

        return run_worker([self._tasks], burst, threads, async_concurrency, max_tasks)

    def testing(self) -> Eager:
        """Return a context manager, sync and async, and decorator, inside of which tasks run at once, in this process.

        Nothing leaves the process: the tasks and messages of all queues are kept in memory, results, progress and the dead
        included. Arguments and results still go through pickle, retries and countdowns do not wait, errors come out of `get`.
        `async def` tasks run on one event loop in a thread beside. `time_limit` is not enforced; `soft_time_limit` is.
        """
        from hotqueue.tasks.testing.eager import Eager

        return Eager()


class _Decorator:
    """What ``@queue.task(…)`` returns, for type checkers."""

    if TYPE_CHECKING:

        @overload
        def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
        def __call__(self, function: Callable[..., Any], /) -> Any: ...
