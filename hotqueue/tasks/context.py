"""What a running task can know of its run, and do about it; which task a log line is of: `current_task`.

No Redis here.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncIterable, Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol, TypeVar

from hotqueue.errors import ControlFlow, NoTask, Retry
from hotqueue.tasks.resuming import Backing, Items, Resuming
from hotqueue.tasks.rules.callables import Replacement
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.options import TaskOptions, datetime_of
from hotqueue.tasks.wire.envelope import Envelope
from hotqueue.tasks.wire.run_reports import line_of, progress_of

T = TypeVar("T")
FIRST_STEP = re.compile("[0-9a-f]{20}-0")  # the id of one, which is a plain task where nothing goes before it
request_var: ContextVar[Request] = ContextVar("hotqueue_request")


class Replace(ControlFlow):
    """What `replace` raises: a workflow, that of a signature, takes the place of the task."""

    def __init__(self, signature: Any) -> None:
        super().__init__(signature)
        self.signature = signature


class Channel(Protocol):
    """What a run says while it runs, beside how it ends."""

    def report(self, queue: str, task_id: str, progress: dict[str, Any]) -> None:
        """Publish progress."""

    def log(self, request: Request, line: str) -> None:
        """Keep a line."""

    def outlet(self, request: Request, options: TaskOptions) -> Any:
        """Return where the items of a generator go; see `execution.streaming.Outlet`."""


class Request:
    """One run of a task.

    Attributes:
        retries: how often it was run again before this run.
        deliveries: which delivery this is; 1 unless a process, or a host, was lost with it.
        worker: the incarnation that runs it.
        lost: True once another worker may run it too; what this run returns will not count.
    """

    __slots__ = (*"_backing _began _channel _envelope _history _resuming deliveries lost queue retries worker".split(),)  # noqa: SIM905

    def __init__(
        self,
        envelope: Envelope,
        history: History,
        queue: str,
        worker: str,
        channel: Channel | None = None,
        backing: Backing | None = None,
    ) -> None:
        self._envelope = envelope
        self._history, self._backing = history, backing
        self._resuming: Resuming | None = None
        self.retries = history.retries
        self.deliveries = history.deaths + 1
        self.queue = queue
        self.worker = worker
        self.lost = False
        self._channel, self._began = channel, time.monotonic()

    @property
    def id(self) -> str:
        """The task's id; the right key for making its effects idempotent."""
        return self._envelope.id

    @property
    def task(self) -> str:
        """The task's name."""
        return self._envelope.task

    @property
    def attempt(self) -> int:
        """Which run of the task this is: 1, and one more for each retry and each death of what ran it."""
        return self.retries + self.deliveries

    @property
    def headers(self) -> dict[str, Any]:
        """What the caller gave as `headers=`."""
        return self._envelope.headers

    @property
    def root_id(self) -> str:
        """The id of its workflow: of the first step, or of the group that it began with; its own where it is no step of one."""
        return str(self._envelope.flow.get("root") or self.id)

    @property
    def parent_id(self) -> str | None:
        """The id of the step before it, or of the task that sent the workflow; None where there is none."""
        found = self._envelope.flow.get("parent")
        return None if found is None else str(found)

    @property
    def step(self) -> int | None:
        """Its number in its workflow, as in ``queue.workflow(id).nodes``: 0, 1, …; None where it is no step of one."""
        found = self._envelope.flow.get("step", 0 if FIRST_STEP.fullmatch(self.id) else None)
        return None if found is None else int(found)

    @property
    def eta(self) -> datetime | None:
        """When the caller wanted it to run, if the caller said so."""
        eta = self._envelope.more.get("eta")
        return None if eta is None else datetime_of(eta)

    def _update_progress(self, done: float, total: float | None, message: str) -> None:
        progress = progress_of(done, total, message)
        if self._channel is not None:
            self._channel.report(self.queue, self.id, progress)

    def _log(self, text: str) -> None:
        line = line_of(text)
        if self._channel is not None:
            self._channel.log(self, line)


def envelope_of(request: Request) -> Envelope:
    """Return the call that runs, as it came."""
    return request._envelope


# --- from run to run -----------------------------------------------------------------------------------------------------


def resuming_of(request: Request) -> Resuming:
    """Return what a run has of those before; asks the server, if there is something and it was not asked for yet."""
    if request._resuming is None:
        backing = _behind(request)
        data = backing.kept(request.id) if request._history.has_checkpoint else None
        request._resuming = Resuming(backing, request.id, data)
    return request._resuming


async def load_checkpoint(request: Request) -> None:
    """Ask for what a run has of those before, so that `resuming_of` need not."""
    backing = _behind(request)
    request._resuming = Resuming(backing, request.id, await backing.akept(request.id))


def begun_resuming(request: Request) -> Resuming | None:
    """Return what a run has of those before, if it has asked for that, or kept something."""
    return request._resuming


def _behind(request: Request) -> Backing:
    if request._backing is None:
        raise NoTask("this run has nothing behind it that could keep a checkpoint")
    return request._backing


def current_request() -> Request | None:
    """Return the request of the task that runs in this context, or None."""
    return request_var.get(None)


class CurrentTask:
    """The task that runs in this thread or coroutine: ``from hotqueue.tasks import current_task``."""

    __module__ = "hotqueue.tasks"

    def __reduce__(self) -> str:
        return "current_task"  # as a global of a function that goes by value

    @property
    def request(self) -> Request:
        """The run's request; outside a task `NoTask` is raised, a RuntimeError and an AttributeError."""
        found = request_var.get(None)
        if found is None:
            raise NoTask("no task is running here: current_task can only be used inside a task that a worker runs")
        return found

    @property
    def name(self) -> str:
        """The task's name."""
        return self.request.task

    @property
    def lost(self) -> bool:
        """True once this run was given up, and another worker may run the task: stop, and write nothing more."""
        return self.request.lost

    def retry(
        self,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        exc: BaseException | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """Run this task again later; raises `Retry`, so nothing after it runs.

        Args:
            countdown: seconds from now; None takes the task's backoff.
            eta: an aware datetime instead.
            exc: what `get` raises when no retry is left; the error being handled if not given.
            max_retries: another bound than the task's own.
        """
        self.request  # noqa: B018  (raises outside a task)
        raise Retry(countdown=countdown, eta=eta, exc=exc, max_retries=max_retries)

    def replace(self, signature: Any) -> NoReturn:
        """Have a workflow take the place of this task, as to return its signature does; raises, so nothing after it runs.

        Raises:
            TypeError: it is no signature.
        """
        if not isinstance(signature, Replacement):
            raise TypeError(f"replace() takes a signature, such as task.s(…), not {signature!r:.80}")
        raise Replace(signature)

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Publish how far the run is; `AsyncResult.progress` shows it."""
        self.request._update_progress(done, total, message)

    def log(self, text: str) -> None:
        """Keep a line for whoever looks at this task: `hotqueue show` and the dashboard show the last 100, for a day."""
        self.request._log(text)

    # --- from run to run -----------------------------------------------------------------------------------------

    @property
    def resumed(self) -> Any:
        """What an earlier run of this task gave to `checkpoint`, the last time; None: nothing, or it is the first run."""
        return resuming_of(self.request).resumed

    def checkpoint(self, state: Any) -> None:
        """Keep a state for the next run, should there be one: after a retry, a death of this process, a stop of this worker.

        Inside of a loop over `iterate` it is kept with the end of the item: the two always fit each other.

        Args:
            state: anything that can be pickled, in at most 256 KB.

        Raises:
            SerializationError: it cannot be pickled, or is too large.
            LeaseLost: the task is another worker's by now.
            ConnectionFailed: the server cannot be reached.
        """
        resuming_of(self.request).keep(state)

    async def acheckpoint(self, state: Any) -> None:
        """Asyncio twin of `checkpoint`."""
        await resuming_of(self.request).akeep(state)

    def iterate(self, sequence: Iterable[T] | AsyncIterable[T]) -> Items[T]:
        """Return the items of a sequence but those that have ended in an earlier run of this task; for ``for`` and ``async for``.

        A worker that stops lets the run end between two items, uncharged, and another goes on there.

        Args:
            sequence: what gives the same items in the same order in each run.

        Raises:
            TypeError: it has no order.
            LeaseLost: from the loop, when the task is another worker's.
        """
        return Items(resuming_of(self.request), sequence)


current_task = CurrentTask()
OF_A_RUN = ("task", "attempt", "queue", "worker")  # of what a line of the log says of a run, what a request has under that name


class TaskFilter(logging.Filter):
    """Say in each log line which task wrote it: `task` (its name), `task_id`, `attempt` (1 for its first run), `queue`, `worker`.

    And `seconds`, since that run began. Outside of one they are "". Every line passes. Put it on a handler, so that the lines of
    all loggers come by; then a format may name ``%(task)s`` and ``%(task_id)s``. The handlers of `hotqueue-worker` have it.
    """

    __module__ = "hotqueue.tasks"

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes, unless the line has them already, as those of the worker itself about a task have some."""
        has, request, said = record.__dict__, request_var.get(None), getattr(record, "hotqueue_fields", {})
        if request is not None and "task_id" not in has:
            seconds = round(time.monotonic() - request._began, 6)
            said = {name: getattr(request, name) for name in OF_A_RUN} | {"task_id": request.id, "seconds": seconds}
        for name in (*OF_A_RUN, "task_id", "seconds"):
            has.setdefault(name, said.get(name, ""))
        return True
