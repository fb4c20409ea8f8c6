"""AsyncResult: a task's outcome as users see it, from any process that knows its id; many of them: resultset.py."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from hotqueue.errors import TaskRevoked
from hotqueue.runtime.ending import in_thread
from hotqueue.tasks.client.client import Owner, client_of
from hotqueue.tasks.client.explain import why
from hotqueue.tasks.client.handle import Handle, parsed_dead
from hotqueue.tasks.client.value import HasValue
from hotqueue.tasks.rules.lifecycle import FINAL, State
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.rules.why import Why
from hotqueue.tasks.wire import payload, record

if TYPE_CHECKING:
    from hotqueue.tasks.client.resultset import ResultSet

R = TypeVar("R", covariant=True)
REVOKED_MS = 3_600_000  # how long it is known that a task was revoked
IN_HAND = 5.0  # seconds that a task may lie in a worker's hand unstarted: of a worker that stands still nobody knows
_STATES = {
    **dict.fromkeys(("ready", "suspect", "lane", "parked", "waits"), State.PENDING),
    "held": State.STARTED,
    "dead": State.FAILURE,
    "done": State.SUCCESS,
}


class AsyncResult(HasValue[R]):
    """One task's outcome, and what to do about it until then.

    >>> result = square.delay(4)
    >>> result.get(timeout=10)
    16

    1. `delay` returns it; ``queue.result(id)`` makes it again, in any process, and it can be pickled.
    2. `state` and all else that is no method waits for nothing: it says how things stand now.
    3. `get`, or ``await result`` in asyncio, waits until the task has ended; `as_future` is for `concurrent.futures`.
    4. Then `get` returns what the task returned, or raises what it raised, with the worker's traceback as the cause.
    5. Where that takes longer than the caller allowed, a `ResultTimeout` says why.
    """

    __module__ = "hotqueue.tasks"
    __slots__ = ()

    @property
    def id(self) -> str:
        """The task's id; ``queue.result(id)`` makes this result again, anywhere."""
        return self._handle.id

    # --- looking -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the task is in; UNKNOWN for an id that does not exist or whose result has expired."""
        handle = self._handle
        if handle.has_outcome():
            assert handle.record is not None
            return handle.record.state
        looked = handle.look()
        if handle.record is not None:
            return handle.record.state
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
        known = self._handle.record if self.ready() else None
        if known is None or known.state is State.SUCCESS:
            return None
        return payload.describe_error(known.payload)[2] or None

    @property
    def retries(self) -> int:
        """How often the task was run again after an error."""
        handle = self._handle
        looked = None if handle.record else handle.look()
        if handle.record is not None:
            return handle.record.retries
        return looked.history.retries if looked else 0

    @property
    def date_done(self) -> datetime | None:
        """When the task ended."""
        known = self._handle.record if self.ready() else None
        return None if known is None else datetime_of(known.date_done)

    @property
    def progress(self) -> dict[str, Any] | None:
        """What the task last reported: ``done``, ``total``, ``message``."""
        return self._handle.look().progress

    @property
    def history(self) -> list[dict[str, Any]]:
        """The last few errors of an unfinished or dead task, oldest first: ``at`` (ms), ``kind``, ``error``."""
        handle = self._handle
        looked = handle.look()
        if looked.history.errors:
            return looked.history.errors
        return list(parsed_dead(handle.broker.dead_record(handle.id)).get("errors", []))

    def why(self) -> Why:
        """Return why the task waits, or what else there is to say of it, in one round trip; ``str(why)`` is a sentence."""
        return why(self._handle.broker, self._handle.id)

    async def awhy(self) -> Why:
        """Asyncio twin of `why`."""
        return await in_thread(self.why)

    # --- in a workflow -------------------------------------------------------------------------------------------

    @property
    def parent(self) -> AsyncResult[Any] | ResultSet[Any] | None:
        """The result of the step before it in its workflow, the results where it waited for several; None of a first step."""
        from hotqueue.tasks.workflow import results

        return results.parent(self)

    @property
    def children(self) -> list[AsyncResult[Any]]:
        """The results of the steps that come next in its workflow."""
        from hotqueue.tasks.workflow import results

        return results.children(self)

    @property
    def root(self) -> AsyncResult[Any] | ResultSet[Any]:
        """The result of the first step of its workflow, the results where it began with several; itself where there is none."""
        from hotqueue.tasks.workflow import results

        return results.root(self)

    # --- acting --------------------------------------------------------------------------------------------------

    def revoke(self, terminate: bool = False) -> str:
        """Keep the task from running; of a workflow's last step, all of its steps that wait.

        Args:
            terminate: if it runs already, end its process; the neighbours that had started in it start again.

        Returns:
            "revoked", "running, not stopped", "running, being stopped", or "finished or unknown".
        """
        looked = self._handle.look()
        answer = self._revoked(terminate, looked.history.need)
        if looked.where == "waits" or hasattr(self._handle, "graph") or is_step(self._handle.id):
            from hotqueue.tasks.workflow import results

            results.revoke_before(self, terminate)
        return answer

    def _revoked(self, terminate: bool, need: str) -> str:
        handle = self._handle
        if handle.record is not None:
            return "finished or unknown"
        error = payload.dumps_error(TaskRevoked(f"task {handle.id} was revoked"))
        data = record.encode(State.REVOKED, 0, int(time.time() * 1000), error, handle.id, handle.signer)
        answer = handle.broker.revoke(handle.id, data, REVOKED_MS, need, terminate, 0.0 if terminate else IN_HAND)
        if answer == "elsewhere":
            answer = self._revoked_elsewhere()
        if answer == "running":
            return "running, being stopped" if terminate else "running, not stopped"
        if answer == "unknown" and handle.look().where == "result":  # by the worker that had it in hand, unstarted
            answer = "revoked" if handle.known_record(None).state is State.REVOKED else answer
        return "finished or unknown" if answer == "unknown" else answer

    def _revoked_elsewhere(self) -> str:
        """Have the queue that has a step hear that it is revoked; return what it said, as `Broker.revoke` does."""
        from hotqueue.tasks.workflow.crossing import bring

        bring(self._handle.broker)
        if self._handle.look().where != "result":
            return "running"
        return "revoked" if self._handle.known_record(None).state is State.REVOKED else "unknown"

    def forget(self) -> None:
        """Remove the stored result."""
        self._handle.broker.forget(self._handle.id)
        self._handle.record = None


def is_step(task_id: str) -> bool:
    """Tell whether an id is, by its form, that of a step of a workflow."""
    prefix, _, number = task_id.partition("-")
    return len(prefix) == 20 and number.isalnum()


def rebuilt(queue: Owner, task_id: str, name: str) -> AsyncResult[Any]:
    """Return the handle that was pickled when it went as a call; see `hotqueue.moved`."""
    return AsyncResult(Handle(task_id, client_of(queue), name))
