"""AsyncResult: the handle to a task's outcome, from any process that knows its id. Many of them together: result_set.py."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Generator
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hotqueue import moved
from hotqueue.errors import (
    STORE_ERRORS,
    ConnectionFailed,
    Interruption,
    NoThread,
    RemoteError,
    RemoteTraceback,
    ResultTimeout,
    SerializationError,
    TaskError,
    TaskRevoked,
    UnknownTask,
)
from hotqueue.hints import hinting
from hotqueue.runtime import in_place
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.callbacks import ResultFuture, callers
from hotqueue.tasks.client.client import Client, Owner, client_of
from hotqueue.tasks.client.explain import explain, waits_for_itself
from hotqueue.tasks.client.replies import Answer, Replies
from hotqueue.tasks.context import current_request
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.rules.lifecycle import FINAL, State
from hotqueue.tasks.rules.options import datetime_of, seconds
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.record import Record

if TYPE_CHECKING:
    from hotqueue.signing import Signer
    from hotqueue.tasks.broker.broker import Broker, Looked

R = TypeVar("R")
log = logging.getLogger("hotqueue.worker")
FIRST_LOOK = 1.0  # seconds after which a coroutine that waits sees whether its answers can come at all
TELL_AFTER = 5.0  # seconds after which a task that waits for itself is told of in the log
REVOKED_MS = 3_600_000  # how long it is known that a task was revoked
IN_HAND = 5.0  # seconds that a task may lie in a worker's hand unstarted: of a worker that stands still nobody knows
_STATES = {
    **dict.fromkeys(("ready", "suspect", "parked"), State.PENDING),
    "held": State.STARTED,
    "dead": State.FAILURE,
    "done": State.SUCCESS,
}


class AsyncResult(Generic[R]):
    """The handle to one task.

    Attributes:
        id: the task's id; `queue.result(id)` makes this handle again, anywhere.
    """

    __module__ = "hotqueue.tasks"
    __slots__ = ("_client", "_queue", "_record", "_stage", "id")
    _is_handle = True  # a task that returns one returns the handle; it does not wait

    def __init__(self, task_id: str, client: Client, queue: str | None = None) -> None:
        self.id = task_id
        self._client = client
        self._queue = queue or client.name
        self._record: Record | None = None
        self._stage = in_place.stage  # what was sent inside queue.testing() stays there

    def __repr__(self) -> str:
        return f"<AsyncResult {self.id} of queue {self._queue!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and (self.id, self._queue) == (other.id, other._queue)

    def __hash__(self) -> int:
        return hash((self.id, self._queue))

    def __getstate__(self) -> tuple[Owner, str, str]:
        return self._client.owner, self.id, self._queue

    def __setstate__(self, state: tuple[Owner, str, str]) -> None:
        queue, task_id, name = state
        AsyncResult.__init__(self, task_id, client_of(queue), name)

    @property
    def _broker(self) -> Broker:
        stage, queue = self._stage, self._queue
        return self._client.broker_of(queue) if stage is None else stage.broker_of(self._client, queue)

    @property
    def _replies(self) -> Replies:
        stage, queue = self._stage, self._queue
        return self._client.replies(queue) if stage is None else stage.replies_of(self._client, queue)

    # --- waiting -------------------------------------------------------------------------------------------------

    @hinting
    def get(self, timeout: float | timedelta | None = None, propagate: bool = True) -> R:
        """Wait for the task and return its value, or raise what it raised.

        Args:
            timeout: seconds to wait; None waits until it ends.
            propagate: False returns the exception instead of raising it.

        Raises:
            ResultTimeout: not finished in time; says why.
            Exception: the task's own, its remote traceback as the cause; RemoteError for one that cannot be made
                here, or that must not be raised here (`SystemExit` …).
            SerializationError: it ended well, but its result cannot be loaded here.
            TaskRevoked, TaskExpired, TaskRejected, WorkerLost: it ended without a value.
            UnknownTask: no such task, or its result has expired.
        """
        if self._is_settled():
            return self._value(None, propagate)
        allowed = None if timeout is None else seconds(timeout, "get(timeout=)")
        found = answers(self, [self.id], allowed)
        return self._value(found.get(self.id) or self._last_look(allowed), propagate)

    @hinting
    async def aget(self, timeout: float | timedelta | None = None, propagate: bool = True) -> R:
        """Asyncio twin of `get`; ``await result`` is the same without a timeout."""
        if self._is_settled():
            return self._value(None, propagate)
        allowed = None if timeout is None else seconds(timeout, "aget(timeout=)")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def tell(_id: str, answer: Answer) -> None:
            try:
                loop.call_soon_threadsafe(_set_once, future, answer)
            except RuntimeError:
                pass  # that loop was closed, and nobody waits in it any more

        replies = self._replies
        try:
            replies.watch(self.id, tell)
        except NoThread:
            return self.get(timeout, propagate)  # the loop stands still meanwhile, at the end of its program
        try:
            answer = await self._awaited(future, replies, allowed)
        finally:
            replies.unwatch(self.id, tell)
        return await self._avalue(answer, propagate)

    async def _avalue(self, answer: Answer | None, propagate: bool) -> R:
        """Return the value; where that takes another trip, in a thread, so that the loop goes on."""
        if answer is not None and answer.status in ("B", "U"):
            return await in_thread(self._value, answer, propagate)
        return self._value(answer, propagate)

    async def _awaited(self, future: asyncio.Future[Answer], replies: Replies, allowed: float | None) -> Answer:
        """Wait for what the thread that reads the replies delivers; where it has no connection, look now and then."""
        loop = asyncio.get_running_loop()
        deadline, pause = None if allowed is None else loop.time() + allowed, FIRST_LOOK
        await replies.aask([self.id])
        while True:
            left = None if deadline is None else max(0.0, deadline - loop.time())
            await asyncio.wait({future}, timeout=pause if left is None else min(pause, left))
            if future.done():
                return future.result()
            if replies.trouble or (left is not None and left <= pause):
                looked = await self._alook()
                if (answer := answer_in(looked)) is not None:
                    return answer
                if left is not None and left <= pause:
                    raise await in_thread(self._timed_out, allowed, looked)
            pause = FIRST_LOOK if replies.trouble else min(2 * pause, 30.0)

    async def _alook(self) -> Looked:
        try:
            return await self._broker.alook(self.id)
        except ConnectionFailed as error:
            if not error.retry:
                raise
            return await in_thread(self._broker.look, self.id)

    def __await__(self) -> Generator[Any, None, R]:
        return self.aget().__await__()

    def as_future(self) -> Future[R]:
        """Return a `concurrent.futures.Future` that the result is delivered to; `asyncio.wrap_future` takes it.

        Its callbacks run in threads of ours. They may block, or wait for other results; what one raises is logged. `cancel`
        returns False: the task goes on, see `revoke`. A future that nobody holds on to, and that has no callback, is forgotten.
        """
        pin: list[Any] = []
        future: ResultFuture[R] = ResultFuture(pin)
        if self._is_settled():
            self._complete(future, None)
            return future
        replies, kept = self._replies, weakref.ref(future)

        def complete(answer: Answer) -> None:
            if (found := kept()) is not None:
                self._complete(found, answer)
            pin.clear()

        def tell(_id: str, answer: Answer) -> None:
            if self._stage is None:
                callers.call(partial(complete, answer))
            else:
                complete(answer)  # inside queue.testing() all is done when `delay` returns

        weakref.finalize(future, replies.unwatch, self.id, tell).atexit = False
        replies.subscribe(self.id, tell)
        return future

    def _complete(self, future: Future[R], answer: Answer | None) -> None:
        try:
            value = self._value(answer, True)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    def _value(self, answer: Answer | None, propagate: bool) -> R:
        if answer is not None and answer.status == "D":
            return None  # type: ignore[return-value]  # ended without storing a result
        try:
            found = self._known(answer)
        except TaskError as error:
            if propagate:
                raise
            return error  # type: ignore[return-value]
        if found.state is State.SUCCESS:
            return self._loaded(found.payload)
        if propagate:
            raise payload.loads_error(found.payload)
        return payload.loads_error(found.payload)  # type: ignore[return-value]

    def _known(self, answer: Answer | None) -> Record:
        if answer is not None:
            self._keep(answer)
            if self._record is None:
                raise self._without_record()
        assert self._record is not None
        return self._record

    def _keep(self, answer: Answer) -> None:
        """Keep the record that an answer has, or speaks of."""
        if answer.status == "B":
            answer = self._replies.whole(self.id, answer)
        if answer.status == "R":
            self._record = record.decode(answer.record, self.id, self._signer())

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
        looked = self._look()
        if looked.where == "dead":
            return _dead_error(self._broker.dead_record(self.id))
        if looked.where not in ("unknown", "result", "done"):
            now = "runs" if looked.where == "held" else "waits"
            return ResultTimeout(f"task {self.id} was put back, and {now} again: ask once more")
        return UnknownTask(
            f"task {self.id} is unknown on queue {self._queue!r} at {self._client.store}: it was never sent there, or its "
            "result has expired (result_expires)"
        )

    def _last_look(self, allowed: float | None) -> Answer:
        """Return the answer that is there though nobody told us, when time is up.

        Raises:
            ResultTimeout: there is none; says why.
        """
        looked = self._broker.look(self.id)
        answer = answer_in(looked)
        if answer is None:
            raise self._timed_out(allowed, looked)
        return answer

    def _timed_out(self, allowed: float | None, looked: Looked) -> ResultTimeout:
        trouble = self._replies.trouble
        try:
            why = explain(self._broker, self.id, looked)
        except ConnectionFailed as error:
            why, trouble = str(error), ""
        beside = f" (and no connection could be had to wait with: {trouble})" if trouble else ""
        return ResultTimeout(f"no result of task {self.id} within {allowed:g} s: {why}{beside}")

    def _signer(self) -> Signer | None:
        return self._client.result_signer(self._queue)

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self) -> Looked:
        looked = self._broker.look(self.id)
        if not self._is_settled():
            self._record = record.decode(looked.record, self.id, self._signer()) if looked.where == "result" else None
        return looked

    def _is_settled(self) -> bool:
        """Tell whether the record that we have is the last word; a dead task may be retried."""
        return self._record is not None and self._record.state is not State.FAILURE

    @property
    def state(self) -> State:
        """What the task is in; UNKNOWN for an id that does not exist or whose result has expired."""
        if self._is_settled():
            assert self._record is not None
            return self._record.state
        looked = self._look()
        if self._record is not None:
            return self._record.state
        if looked.where == "scheduled":
            return State.RETRY if looked.history.retries else State.SCHEDULED
        return _STATES.get(looked.where, State.UNKNOWN)

    status = state

    def ready(self) -> bool:
        """Tell whether the task has ended."""
        return self.state in FINAL

    def successful(self) -> bool:
        """Tell whether the task returned."""
        return self.state is State.SUCCESS

    def failed(self) -> bool:
        """Tell whether the task failed."""
        return self.state is State.FAILURE

    @property
    def result(self) -> Any:
        """The value, or the exception; None while it has not ended."""
        return self.get(timeout=5, propagate=False) if self.ready() else None

    @property
    def traceback(self) -> str | None:
        """The remote traceback of a failed task."""
        if not self.ready() or self._record is None or self._record.state is State.SUCCESS:
            return None
        return payload.describe_error(self._record.payload)[2] or None

    @property
    def retries(self) -> int:
        """How often the task was run again after an error."""
        looked = None if self._record else self._look()
        if self._record is not None:
            return self._record.retries
        return looked.history.retries if looked else 0

    @property
    def date_done(self) -> datetime | None:
        """When the task ended."""
        if not self.ready() or self._record is None:
            return None
        return datetime_of(self._record.date_done)

    @property
    def progress(self) -> dict[str, Any] | None:
        """What the task last reported: ``done``, ``total``, ``message``."""
        return self._look().progress

    @property
    def history(self) -> list[dict[str, Any]]:
        """The last few errors of an unfinished or dead task, oldest first: ``at`` (ms), ``kind``, ``error``."""
        looked = self._look()
        if looked.history.errors:
            return looked.history.errors
        return list(_parsed_dead(self._broker.dead_record(self.id)).get("errors", []))

    # --- acting --------------------------------------------------------------------------------------------------

    def revoke(self, terminate: bool = False) -> str:
        """Keep the task from running.

        Args:
            terminate: if it runs already, end its process; the neighbours that had started in it start again.

        Returns:
            "revoked", "running, not stopped", "running, being stopped", or "finished or unknown".
        """
        need = self._look().history.need
        if self._record is not None:
            return "finished or unknown"
        error = payload.dumps_error(TaskRevoked(f"task {self.id} was revoked"))
        data = record.encode(State.REVOKED, 0, int(time.time() * 1000), error, self.id, self._signer())
        answer = self._broker.revoke(self.id, data, REVOKED_MS, need, terminate, 0.0 if terminate else IN_HAND)
        if answer == "running":
            return "running, being stopped" if terminate else "running, not stopped"
        if answer == "unknown" and self._look().where == "result":  # by the worker that had it in hand, unstarted
            answer = "revoked" if self._known(None).state is State.REVOKED else answer
        return "finished or unknown" if answer == "unknown" else answer

    def forget(self) -> None:
        """Remove the stored result."""
        self._broker.forget(self.id)
        self._record = None


def answers(one: AsyncResult[Any], ids: list[str], allowed: float | None) -> dict[str, Answer]:
    """Wait for tasks of one queue; one that waits for itself, without an end or a long one, is to be seen in the log."""
    replies = one._replies
    caller = current_request()
    if caller is None or (allowed is not None and allowed <= TELL_AFTER):
        return replies.wait(ids, allowed)
    found = replies.wait(ids, TELL_AFTER)
    left = [task_id for task_id in ids if task_id not in found]
    if not left:
        return found
    try:
        if why := waits_for_itself(one._broker, left[0]):
            log.warning("no result of task %s within %g s: %s", left[0], TELL_AFTER, why)
    except STORE_ERRORS:  # a store that is away just now: it is waited for all the same
        pass
    return found | replies.wait(left, None if allowed is None else allowed - TELL_AFTER)


def answer_in(looked: Looked) -> Answer | None:
    """Return the answer in what is known of a task; None while it has not ended."""
    if looked.where == "result":
        return Answer("R", looked.record)
    return {"done": Answer("D"), "dead": Answer("U"), "unknown": Answer("U")}.get(looked.where)


def _set_once(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def check_id(task_id: object, where: str) -> str:
    """Return `task_id` when it can be one, else raise TypeError."""
    if not isinstance(task_id, str) or not task_id:
        raise TypeError(f"{where} takes the id of a task, a non-empty str such as result.id, not {task_id!r:.80}")
    return task_id


def rebuilt(queue: Owner, task_id: str, name: str) -> AsyncResult[Any]:
    """Return the handle that was pickled when it went as a call; see `hotqueue.moved`."""
    return AsyncResult(task_id, client_of(queue), name)


def _parsed_dead(data: bytes | None) -> dict[str, Any]:
    return (json_object(data.partition(b"\n")[0]) if data else None) or {}


def _dead_error(data: bytes | None) -> Exception:
    told = _parsed_dead(data)
    error = RemoteError(moved.today(told.get("error", "unknown")), told.get("message", ""), told.get("traceback", ""))
    error.__cause__ = RemoteTraceback(error.traceback)
    return error
