"""The whole exception tree: every error hotqueue raises on purpose is a HotQueueError.

Each message says what happened, with which value, and what to do about it.
Control flow is a branch of its own: what a task raises (Retry, Reject, Ignore), and what is raised inside it from outside
(Interruption). All of them are `hotqueue.X` to users, and in whatever is stored. Imports nothing of hotqueue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copyreg import __newobj__  # type: ignore[attr-defined]
from datetime import datetime, timedelta
from typing import Any


class HotQueueError(Exception):
    """Base class of everything hotqueue raises on purpose."""


class ConnectionFailed(HotQueueError, ConnectionError):
    """The store could not be reached, or stopped answering in the middle of a command.

    Attributes:
        retry: False when trying again cannot help (a wrong password, a missing permission).
        sent: True when the command may have run, its reply being lost.
    """

    def __init__(self, message: str, *, retry: bool = True, sent: bool = True) -> None:
        super().__init__(message)
        self.retry = retry
        self.sent = sent


class ConfigError(HotQueueError, ValueError):
    """A setting, an option or the place where data lives has to be changed by the user."""


class Refused(ConfigError):
    """The server answers, and does not take what it was sent, in words that we do not know: that may be because of what it is."""


class NewerQueue(ConfigError):
    """A queue has a schema that this version does not know: a newer one has taken it there, and this one is to be upgraded."""


class CannotLoad(HotQueueError):
    """A module that cannot be imported, or has no tasks; the message is for the user."""


class NoThread(HotQueueError, RuntimeError):
    """Nothing can wait for results beside the work any more: the program ends."""


class NoTask(HotQueueError, RuntimeError, AttributeError):
    """No task runs here, and so there is no request. To `hasattr`, mocks and whoever lists attributes, there is none such."""


class QueueFull(HotQueueError):
    """The queue is at `max_queue_length` or `max_waiting`, or its server has no memory: nothing was stored, or it says what."""


class SerializationError(HotQueueError):
    """A value cannot travel; the message names the argument."""


class NotTaken(SerializationError):
    """Some of the tasks that were sent together were refused by the server, for what they are; the others were sent.

    Attributes:
        ids: of those that were refused.
    """

    def __init__(self, message: str, ids: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.ids = set(ids)


class CorruptEnvelope(SerializationError):
    """Bytes that are no envelope, or were changed since they were written."""


class NewerEnvelope(SerializationError):
    """An envelope of a wire version that this hotqueue does not know.

    Attributes:
        version: the one it has.
    """

    def __init__(self, message: str, version: int = 0) -> None:
        super().__init__(message)
        self.version = version


# What a store that is away, full or set up otherwise answers with. Who goes on without it catches these by name: a
# HotQueueError is also what a task was sent from outside, and that is not to be caught on its way to the task.
STORE_ERRORS = (ConnectionFailed, ConfigError, QueueFull, SerializationError)


class SignatureError(HotQueueError):
    """An envelope or a result is unsigned, or was altered, while a secret key is set."""


class TaskNotRegistered(HotQueueError):
    """No task of this name is known here."""


class DuplicateTask(HotQueueError):
    """A task with the same unique key is already waiting or running; nothing of the call was stored, or it says what was.

    Attributes:
        task_id: of the one that is there; ``queue.result(task_id)`` is its handle. "" where it is another one of the same call.
        ids: of those that were refused → the one that is there instead.
    """

    def __init__(self, message: str, task_id: str = "", ids: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.ids = dict(ids or {})


class ResultTimeout(HotQueueError, TimeoutError):
    """No result within the time allowed; the message says why."""


class TaskError(HotQueueError):
    """A task ended without a value of its own making: base of those below."""


class UnknownTask(TaskError):
    """No such task: it never existed, or its result has expired."""


class TaskRevoked(TaskError):
    """The task was revoked before it ran, or while it ran."""


class TaskExpired(TaskError):
    """The task was still waiting, for its first run or for another, when its `expires` passed."""


class TaskRejected(TaskError):
    """The task raised `Reject`: it is kept in the dead list."""


class EarlierStepFailed(TaskError):
    """A step of a workflow did not run: one before it failed, was revoked, or expired.

    Attributes:
        step: the id of that one; "" where whoever sent the workflow stopped before it had sent all of it.
    """

    def __init__(self, message: str, step: str = "") -> None:
        super().__init__(message)
        self.step = step


class WorkerLost(TaskError):
    """The processes that ran the task died `max_deliveries` times; it is kept in the dead list."""


class StreamRestarted(HotQueueError):
    """A task that streams runs again, from its first item: what was read of it so far was of an attempt that is over.

    Whoever goes on with the same iterator gets the items of the new attempt, from the first one on.
    """

    attempt: int  # which one that is; `stream(attempt=)` takes it


class StreamGap(HotQueueError):
    """Items of a stream are not kept any more that a reader has not read; who goes on with its iterator gets those that are."""

    first: int  # index of the first item that is there


class Interruption(HotQueueError):
    """Base of what is raised inside a running task from outside: it is the task's, so nothing of ours catches it on its way."""


class LeaseLost(Interruption):
    """Raised inside a task whose worker was given up: another worker runs the task now."""


class TimeLimitExceeded(HotQueueError):
    """The task ran longer than `time_limit` and was stopped from outside."""


class SoftTimeLimitExceeded(Interruption):
    """Raised inside a task that ran longer than `soft_time_limit`, so that it can clean up."""


class RemoteError(HotQueueError):
    """Stands for an exception that cannot be made here as it was, or that must not be raised here (`SystemExit` …).

    Where the original's class can be imported, it is of that class too, so that ``except`` by name still works.

    Attributes:
        class_path: ``module.ClassName`` of the original exception.
        message: its ``str()``.
        traceback: the formatted remote traceback.
    """

    def __init__(self, class_path: str, message: str, traceback: str = "") -> None:
        super().__init__(class_path, message, traceback)

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        """Take what pickle kept beside the args; older versions kept these three there as well."""
        self.__dict__.update({name: value for name, value in (state or {}).items() if not hasattr(RemoteError, name)})

    # Properties over args: an original's class, which may come behind this one, cannot get in their way.

    @property
    def class_path(self) -> str:
        return str(self.args[0])

    @property
    def message(self) -> str:
        return str(self.args[1])

    @property
    def traceback(self) -> str:
        return str(self.args[2])

    def __str__(self) -> str:
        return f"{self.class_path}: {self.message}" if self.message else self.class_path


class RemoteTraceback(Exception):
    """The traceback text of the worker, attached as the cause of a task's exception (as concurrent.futures does)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n" + self.text


class ControlFlow(Exception):
    """Base of what a task raises to steer its own fate; not an error, so not a HotQueueError."""


class Retry(ControlFlow):
    """Raise inside a task to run it again later.

    Args:
        countdown: seconds from now; None takes the task's own backoff.
        eta: an aware datetime instead of a countdown.
        exc: the error to report when no attempt is left.
    """

    def __init__(
        self,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        exc: BaseException | None = None,
        max_retries: int | None = None,
    ) -> None:
        super().__init__(countdown, eta, exc)
        self.countdown = countdown
        self.eta = eta
        self.exc = exc
        self.max_retries = max_retries

    def __reduce__(self) -> tuple[Any, ...]:  # pickle would give the args to __init__, which takes keywords
        return __newobj__, (type(self), *self.args), self.__dict__


class Reject(ControlFlow):
    """Raise inside a task to send it to the dead list at once, without a retry."""

    def __init__(self, reason: Any = "rejected by the task") -> None:
        super().__init__(reason)
        self.reason = str(reason)


class Ignore(ControlFlow):
    """Raise inside a task to end it without storing any result."""


class TaskNameWarning(UserWarning):
    """Two functions were defined under one task name; a worker that loads them refuses to start."""


def newer_queue(name: str, schema: int, known: int) -> NewerQueue:
    """Return the error of a version that knows schemas up to `known`."""
    return NewerQueue(
        f"queue {name!r} has schema {schema}, and the hotqueue of this program knows schemas up to {known}: upgrade hotqueue "
        "here; until then the queue is for newer ones"
    )


for _kind in [kind for kind in globals().values() if getattr(kind, "__module__", "") == __name__]:
    _kind.__module__ = "hotqueue"  # the name that pickles, dead records and tracebacks hold, wherever this file goes
del _kind
