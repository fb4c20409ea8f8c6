"""States, outcomes, actions, and the one function that decides. Pure: knows no store, no clock, no process.

Everything that depends on how a task's run ended is decided here, over one table; the diagram in docs/lifecycle.md is made
from it. The worker carries the action out, and one script makes it so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hotqueue.errors import (
    DuplicateTask,
    EarlierStepFailed,
    HotQueueError,
    TaskError,
    TaskExpired,
    TaskRejected,
    TaskRevoked,
    TimeLimitExceeded,
    WorkerLost,
)
from hotqueue.plurals import plural
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.retry import RetryPolicy, backoff


class State(StrEnum):
    """What a task is in, as users see it. On the wire: tasks/wire/record.py (final), the states of client/result.py (others)."""

    __module__ = "hotqueue.tasks"

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    STARTED = "STARTED"
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"
    UNKNOWN = "UNKNOWN"


FINAL = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})


class Ended(StrEnum):
    """How a run, or the attempt to run, ended."""

    RETURNED = "returned"
    RAISED = "raised"
    ASKED_RETRY = "asked for a retry"
    REJECTED = "rejected"
    IGNORED = "ignored"
    REPLACED = "returned a signature"
    EXPIRED = "expired"
    DUPLICATE = "another has its unique key"
    EXHAUSTED = "killed its processes"
    OVERRAN = "ran into its time limit"
    REVOKED = "was revoked while it ran"
    UNLOADABLE = "could not be loaded"
    UNSTORABLE = "returned what cannot be stored"
    UNRUNNABLE = "cannot run here"
    INTERRUPTED = "interrupted by us"


class Do(StrEnum):
    """What is to become of the task; the values are the codes of step.lua."""

    SUCCEED = "S"
    FORGET = "X"
    REPLACE = "N"
    END = "E"
    BURY = "D"
    RETRY = "R"
    PUT_BACK = "P"
    PARK = "K"


@dataclass(slots=True)
class Outcome:
    """What the executor returns.

    Attributes:
        payload: the pickled value of a task that returned; the plan of what comes in its place.
        error: what was raised.
        error_payload: the same, pickled by the executor, whose process knows its classes.
        delay: seconds that the task asked for, or None.
        eta: an instant that the task asked for, or None.
        need: what a worker must have to run the task.
        max_retries: the bound that the task itself gave with its retry.
    """

    ended: Ended
    payload: bytes = b""
    error: BaseException | None = None
    error_payload: bytes = b""
    delay: float | None = None
    eta: datetime | None = None
    need: str = ""
    max_retries: int | None = None


@dataclass(slots=True)
class Action:
    """What `decide` makes of an outcome.

    Attributes:
        state: the final state, for SUCCEED, END and BURY.
        error: what `get` will raise.
        error_payload: the same pickled, when the executor did that already.
        delay: seconds before the retry.
    """

    do: Do
    state: State | None = None
    payload: bytes = b""
    error: BaseException | None = None
    error_payload: bytes = b""
    delay: float = 0
    need: str = ""


# How a run ended → what becomes of the task: when a retry is due and left, and otherwise.
TABLE: dict[Ended, tuple[Do, Do]] = {
    Ended.RETURNED: (Do.SUCCEED, Do.SUCCEED),
    Ended.RAISED: (Do.RETRY, Do.BURY),
    Ended.ASKED_RETRY: (Do.RETRY, Do.BURY),
    Ended.REJECTED: (Do.BURY, Do.BURY),
    Ended.IGNORED: (Do.FORGET, Do.FORGET),
    Ended.REPLACED: (Do.REPLACE, Do.REPLACE),
    Ended.EXPIRED: (Do.END, Do.END),
    Ended.DUPLICATE: (Do.BURY, Do.BURY),
    Ended.EXHAUSTED: (Do.BURY, Do.BURY),
    Ended.OVERRAN: (Do.RETRY, Do.BURY),
    Ended.REVOKED: (Do.END, Do.END),
    Ended.UNLOADABLE: (Do.BURY, Do.BURY),
    Ended.UNSTORABLE: (Do.BURY, Do.BURY),  # it ran to its end: again, it would make the same, and what it did would be done twice
    Ended.UNRUNNABLE: (Do.PARK, Do.PARK),
    Ended.INTERRUPTED: (Do.PUT_BACK, Do.PUT_BACK),
}
FINAL_STATE = {Do.SUCCEED: State.SUCCESS, Do.END: State.REVOKED, Do.BURY: State.FAILURE}
LOST = "*"  # no id of ours: in the place of that of an earlier step
SUCCEED = Action(Do.SUCCEED, State.SUCCESS)


def decide(
    outcome: Outcome, policy: RetryPolicy, history: History, *, random: Callable[[], float], now: datetime | None = None
) -> Action:
    """Return what becomes of a task.

    Args:
        policy: the task's own.
        history: its history before this run.
        random: float in [0, 1), for jitter.
        now: needed when the outcome has an `eta`.
    """
    if outcome.ended is Ended.RETURNED:
        return Action(Do.SUCCEED, State.SUCCESS, outcome.payload)
    if outcome.ended is Ended.REPLACED:
        return Action(Do.REPLACE, payload=outcome.payload)
    retry = _retry_is_due(outcome, policy, history)
    do = TABLE[outcome.ended][0 if retry else 1]
    if do is Do.RETRY:
        delay = _delay(outcome, policy, history, random, now)
        return Action(do, error=outcome.error, error_payload=outcome.error_payload, delay=delay)
    error = _final_error(outcome, history)
    payload = outcome.error_payload if error is outcome.error else b""
    return Action(do, FINAL_STATE.get(do), b"", error, payload, need=outcome.need)


def _retry_is_due(outcome: Outcome, policy: RetryPolicy, history: History) -> bool:
    if not policy.allows(history.retries, outcome.max_retries):
        return False
    if outcome.ended is Ended.ASKED_RETRY:
        return True
    return outcome.error is not None and policy.wants(outcome.error)


def _delay(outcome: Outcome, policy: RetryPolicy, history: History, random: Callable[[], float], now: datetime | None) -> float:
    if outcome.eta is not None and now is not None:
        return max(0.0, (outcome.eta - now).total_seconds())
    return outcome.delay if outcome.delay is not None else backoff(policy, history.retries, random)


def _final_error(outcome: Outcome, history: History) -> BaseException | None:
    if outcome.ended is Ended.ASKED_RETRY and outcome.error is None:
        return TaskError(
            f"asked to be retried after {plural(history.retries, 'retry', 'retries')}, but no more are allowed; raise max_retries"
        )
    return outcome.error


def expired(expires_ms: int, now_ms: int, tries: int = 0) -> Outcome:
    """Return the outcome of a task that waited past its `expires`, for the first time or to be tried again."""
    late = (now_ms - expires_ms) / 1000
    tried = f"it is not run again, after {plural(tries, 'try', 'tries')}" if tries else "it never ran"
    return Outcome(Ended.EXPIRED, error=TaskExpired(f"still waiting {late:.1f} s after its expires; {tried}"))


def exhausted(history: History, max_deliveries: int) -> Outcome:
    """Return the outcome of a task that too many processes died of."""
    kinds = ("lost",) if history.deliveries else ("lost", "shared death", "host lost")
    causes = "; ".join(str(e.get("error")) for e in history.errors if e.get("kind") in kinds) or "cause unknown"
    if history.deliveries:
        since = f", {history.deliveries - history.forgiven} of them since it last came further" if history.forgiven else ""
        text = (
            f"killed its worker process {plural(history.deliveries, 'time')}{since} (max_deliveries={max_deliveries}): {causes}"
        )
    else:
        text = f"its worker died, and it is not to start twice (max_deliveries={max_deliveries}): {causes}"
    return Outcome(Ended.EXHAUSTED, error=WorkerLost(text))


def overran(history: History) -> Outcome:
    """Return the outcome of a task whose process was ended because of `time_limit`."""
    text = next((str(e["error"]) for e in reversed(history.errors) if e.get("kind") == "time limit"), "ran too long")
    return Outcome(Ended.OVERRAN, error=TimeLimitExceeded(text))


def revoked(task_id: str) -> Outcome:
    """Return the outcome of a task that was revoked while a worker had it in hand."""
    return Outcome(Ended.REVOKED, error=TaskRevoked(f"task {task_id} was revoked"))


def replaced(task_id: str, by: str) -> Outcome:
    """Return the outcome of a task in whose place another one with the same unique key has come."""
    return Outcome(Ended.REVOKED, error=TaskRevoked(f"task {task_id} was replaced by task {by}, which has the same unique key"))


def duplicate(what: str, by: str) -> Outcome:
    """Return the outcome of a step of a workflow whose unique key another task had when it began."""
    text = f"{what} is there already: it is task {by}; a step is not run then, unless it has on_conflict='ignore' or 'replace'"
    return Outcome(Ended.DUPLICATE, error=DuplicateTask(text, by))


def joined_revoked(task_id: str, holder: str) -> Outcome:
    """Return the outcome of a step that was to end as another task did, which was revoked, or expired."""
    text = f"task {task_id} ends as task {holder}, which has the same unique key, and was revoked, or expired"
    return Outcome(Ended.REVOKED, error=TaskRevoked(text))


def behind(origin: str, state: State) -> Outcome:
    """Return the outcome of a step of a workflow that did not run, as an earlier one ended so.

    Args:
        origin: that one; "": not all of the workflow was sent; LOST: what the step waited for was lost.
    """
    if origin == LOST:
        text = (
            "what this step of a workflow waited for is not known any more, so that it could never begin: keys of its queue "
            "were deleted, or evicted"
        )
    elif not origin:
        text = "the rest of its workflow was never sent: whoever sent it stopped before the end; send it anew"
    elif state is State.FAILURE:
        text = f"an earlier step failed: task {origin}"
    else:
        text = f"an earlier step was revoked, or expired: task {origin}"
    return Outcome(Ended.REVOKED, error=EarlierStepFailed(text, origin))


def rejected(reason: str) -> Outcome:
    """Return the outcome of a task that raised `Reject`."""
    return Outcome(Ended.REJECTED, error=TaskRejected(reason))


def unrunnable(need: str) -> Outcome:
    """Return the outcome of a task that another worker has to run."""
    return Outcome(Ended.UNRUNNABLE, need=need)


def unloadable(error: HotQueueError) -> Outcome:
    """Return the outcome of a task whose bytes are no good."""
    return Outcome(Ended.UNLOADABLE, error=error)
