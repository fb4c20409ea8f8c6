"""Handle: a task's outcome as this process knows it: where it is asked for, what came, what to return or raise.

Users do not see one: an AsyncResult has one in it, shows what docs/reference.md names, and `handle_of` hands it out to whoever
waits for results or sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hotqueue import moved
from hotqueue.errors import (
    ConnectionFailed,
    Interruption,
    RemoteError,
    RemoteTraceback,
    ResultTimeout,
    SerializationError,
    TaskError,
    UnknownTask,
)
from hotqueue.runtime import testing_mode
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.answers import Answer, with_records
from hotqueue.tasks.client.client import Client, Owner, client_of
from hotqueue.tasks.client.explain import why
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.rules.callables import NotAwaited
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.plan import unquoted
from hotqueue.tasks.wire.record import Record

if TYPE_CHECKING:
    from hotqueue.signing import Signer
    from hotqueue.tasks.broker.broker import Broker, Looked

R = TypeVar("R", covariant=True)


class Handle(Generic[R]):
    """The outcome of one task, by its id.

    Attributes:
        id: the task's.
        client: of the queue through which it was sent, or asked for.
        queue: name of the queue that it was sent to.
        record: how it ended, once that is known here; a dead task may be retried.
        sandbox: where it was sent, inside `queue.testing()`.
        graph: of the workflow that it is a step of, where that is known here; not there before.
    """

    __slots__ = ("client", "graph", "id", "queue", "record", "sandbox")
    graph: Any

    def __init__(self, task_id: str, client: Client, queue: str | None = None) -> None:
        self.id = task_id
        self.client = client
        self.queue = queue or client.name
        self.record: Record | None = None
        self.sandbox = testing_mode.sandbox  # what was sent inside queue.testing() stays there

    @property
    def broker(self) -> Broker:
        """Where the task is."""
        sandbox, queue = self.sandbox, self.queue
        return self.client.broker_of(queue) if sandbox is None else sandbox.broker_of(self.client, queue)

    @property
    def replies(self) -> Replies:
        """Where its result is waited for."""
        sandbox, queue = self.sandbox, self.queue
        return self.client.replies(queue) if sandbox is None else sandbox.replies_of(self.client, queue)

    def outcome(self, answer: Answer | None, propagate: bool) -> R:
        """Return the value, or raise the error (return it, without `propagate`), of an answer; without one, of the record."""
        if answer is not None and answer.status == "D":
            return None  # type: ignore[return-value]  # ended without storing a result
        try:
            found = self.known_record(answer)
        except TaskError as error:
            if propagate:
                raise
            return error  # type: ignore[return-value]
        if found.state is State.SUCCESS:
            return self._loaded(found.payload)
        if propagate:
            raise self._error(found)
        return self._error(found)  # type: ignore[return-value]

    def _error(self, found: Record) -> BaseException:
        """Return the error in a record; of a step that was not run, that of the one that failed, as long as it is known."""
        data = self.broker.record(found.origin) if found.origin else None
        if data is None or found.origin is None:
            return payload.loads_error(found.payload)
        arose = payload.loads_error(record.decode(data, found.origin, self.signer).payload)
        arose.add_note(f"It arose in task {found.origin}, an earlier step of the workflow; task {self.id} was not run.")
        return arose

    def known_record(self, answer: Answer | None) -> Record:
        """Return the record of an answer, or the one that is known."""
        if answer is not None:
            self.keep(answer)
            if self.record is None:
                raise self._without_record()
        assert self.record is not None
        return self.record

    def keep(self, answer: Answer) -> None:
        """Keep the record that an answer has, or speaks of."""
        if answer.status == "B":
            answer = with_records(self.broker, {self.id: answer})[self.id]
        if answer.status == "R":
            self.record = record.decode(answer.record, self.id, self.signer)

    def _loaded(self, data: bytes) -> R:
        try:
            return payload.loads(data)  # type: ignore[no-any-return]
        except Interruption:
            raise
        except (Exception, SystemExit) as error:  # not the task's: it ended well
            raise SerializationError(
                f"task {self.id} succeeded, but its result cannot be loaded here ({type(error).__name__}: {error}); have this "
                "program import what the worker has, or return values of built-in types"
            ) from error

    def _without_record(self) -> Exception:
        """Return what `get` raises for a task without a record: dead longer than its result, or unknown."""
        looked = self.look()
        if looked.where == "dead":
            return _dead_error(self.broker.dead_record(self.id))
        if looked.where not in ("unknown", "result", "done"):
            now = "runs" if looked.where == "held" else "waits"
            return ResultTimeout(f"task {self.id} was put back, and {now} again: ask once more")
        return UnknownTask(
            f"task {self.id} is unknown on queue {self.queue!r} at {self.client.store}: it was never sent there, or its "
            "result has expired (result_expires)"
        )

    def last_look(self, allowed: float | None) -> Answer:
        """Return the answer that is there though it did not come, when time is up.

        Raises:
            ResultTimeout: there is none; says why.
        """
        looked = self.broker.look(self.id)
        answer = answer_in(looked)
        if answer is None:
            raise self.timeout_error(allowed)
        return answer

    def timeout_error(self, allowed: float | None) -> ResultTimeout:
        """Return what to raise when time is up; says what the task waits for."""
        trouble = self.replies.trouble
        try:
            reason = str(why(self.broker, self.id))
        except ConnectionFailed as error:
            reason, trouble = str(error), ""
        beside = f" (and no connection could be had to wait with: {trouble})" if trouble else ""
        return ResultTimeout(f"no result of task {self.id} within {allowed:g} s: {reason}{beside}")

    @property
    def signer(self) -> Signer | None:
        """What signs and verifies its record; None without a key. Of a step, any queue of its workflow may have signed it."""
        graph = getattr(self, "graph", None)
        return self.client.result_signer(self.queue, *(() if graph is None else dict.fromkeys(graph.queues)))

    async def aoutcome(self, answer: Answer | None, propagate: bool) -> R:
        """Return the value; where that takes another trip, in a thread, so that the loop goes on."""
        if answer is not None and answer.status in ("B", "U"):
            return await in_thread(self.outcome, answer, propagate)
        return self.outcome(answer, propagate)

    async def alook(self) -> Looked:
        """Return what is known of the task, without keeping it; in a thread where the loop has no connection."""
        try:
            looked = await self.broker.alook(self.id)
            return await in_thread(self._look_elsewhere, looked) if looked.where == "elsewhere" else looked
        except ConnectionFailed as error:
            if not error.retry:
                raise
            return await in_thread(self.broker.look, self.id)

    def look(self) -> Looked:
        """Return what is known of the task, and keep its record."""
        looked = self.broker.look(self.id)
        if not self.has_outcome():
            self.record = record.decode(looked.record, self.id, self.signer) if looked.where == "result" else None
        return self._look_elsewhere(looked) if looked.where == "elsewhere" else looked

    def _look_elsewhere(self, looked: Looked) -> Looked:
        """Return what is known of a step by the queue that has it; while it is on its way there, or back, it waits."""
        there = self.client.broker_of(unquoted(looked.record)).look(self.id)
        if there.where in ("result", "done", "dead", "unknown"):
            there.where, there.record = "waits", b""
        return there

    def has_outcome(self) -> bool:
        """Tell whether the record that we have is the last word; a dead task may be retried."""
        return self.record is not None and self.record.state is not State.FAILURE


class HasHandle(NotAwaited, Generic[R]):
    """What has a handle in it: an AsyncResult."""

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle[R]) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        return f"<AsyncResult {self._handle.id} of queue {self._handle.queue!r}>"

    def __eq__(self, other: object) -> bool:
        one = self._handle
        return isinstance(other, HasHandle) and (one.id, one.queue) == (other._handle.id, other._handle.queue)

    def __hash__(self) -> int:
        return hash((self._handle.id, self._handle.queue))

    def __getstate__(self) -> tuple[Owner, str, str]:
        return self._handle.client.owner, self._handle.id, self._handle.queue

    def __setstate__(self, state: tuple[Owner, str, str]) -> None:
        queue, task_id, name = state
        self._handle = Handle(task_id, client_of(queue), name)


def handle_of(result: HasHandle[R]) -> Handle[R]:
    """Return the handle of a result."""
    return result._handle


def check_id(task_id: object, where: str) -> str:
    """Return `task_id` when it can be one, else raise TypeError."""
    if not isinstance(task_id, str) or not task_id:
        raise TypeError(f"{where} takes the id of a task, a non-empty str such as result.id, not {task_id!r:.80}")
    return task_id


def answer_in(looked: Looked) -> Answer | None:
    """Return the answer in what is known of a task; None while it has not ended."""
    if looked.where == "result":
        return Answer("R", looked.record)
    return {"done": Answer("D"), "dead": Answer("U"), "unknown": Answer("U")}.get(looked.where)


def parsed_dead(data: bytes | None) -> dict[str, Any]:
    """Return what the dead list says of a task; nothing for one that is not in it, or of which it says nonsense."""
    return (json_object(data.partition(b"\n")[0]) if data else None) or {}


def _dead_error(data: bytes | None) -> Exception:
    found = parsed_dead(data)
    error = RemoteError(moved.today(found.get("error", "unknown")), found.get("message", ""), found.get("traceback", ""))
    error.__cause__ = RemoteTraceback(error.traceback)
    return error
