"""The one function that decides what becomes of a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hotqueue.errors import TaskError, TaskExpired, TaskRejected, TimeLimitExceeded, WorkerLost
from hotqueue.tasks.rules import lifecycle
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.lifecycle import FINAL_STATE, TABLE, Action, Do, Ended, Outcome, State, decide
from hotqueue.tasks.rules.retry import RetryPolicy

NEVER = RetryPolicy()
ALWAYS = RetryPolicy(autoretry_for=(Exception,), jitter=False)
OOPS = OSError("oops")


def decided(outcome: Outcome, policy: RetryPolicy = NEVER, history: History | None = None, now: datetime | None = None) -> Action:
    return decide(outcome, policy, history or History(), random=lambda: 0.5, now=now)


@pytest.mark.parametrize("ended", list(Ended))
def test_every_end_has_its_row(ended: Ended) -> None:
    assert len(TABLE[ended]) == 2


@pytest.mark.parametrize("ended", [e for e in Ended if e is not Ended.RETURNED])
@pytest.mark.parametrize("retry", [True, False])
def test_what_is_decided_is_what_the_table_says(ended: Ended, retry: bool) -> None:
    action = decided(Outcome(ended, error=OOPS), ALWAYS if retry else RetryPolicy(max_retries=0))
    assert action.do is TABLE[ended][0 if retry else 1]
    assert action.state is FINAL_STATE.get(action.do)


def test_a_value_is_a_success() -> None:
    assert decided(Outcome(Ended.RETURNED, b"v")) == Action(Do.SUCCEED, State.SUCCESS, b"v")


def test_an_error_is_retried_as_long_as_the_policy_allows() -> None:
    delays = [decided(Outcome(Ended.RAISED, error=OOPS), ALWAYS, History(n)) for n in range(4)]
    assert [(a.do, a.delay) for a in delays] == [(Do.RETRY, 1), (Do.RETRY, 2), (Do.RETRY, 4), (Do.BURY, 0)]
    assert delays[-1].error is OOPS


def test_an_error_nobody_wants_to_retry_buries_the_task() -> None:
    action = decided(Outcome(Ended.RAISED, error=OOPS, error_payload=b"p"))
    assert (action.do, action.state, action.error_payload) == (Do.BURY, State.FAILURE, b"p")


def test_a_retry_that_was_asked_for_needs_no_autoretry() -> None:
    action = decided(Outcome(Ended.ASKED_RETRY, delay=7))
    assert (action.do, action.delay) == (Do.RETRY, 7)


def test_a_retry_that_was_asked_for_without_delay_takes_the_backoff() -> None:
    assert decided(Outcome(Ended.ASKED_RETRY), ALWAYS, History(2)).delay == 4


def test_a_retry_at_an_instant_waits_until_then() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert decided(Outcome(Ended.ASKED_RETRY, eta=now + timedelta(seconds=90)), now=now).delay == 90
    assert decided(Outcome(Ended.ASKED_RETRY, eta=now - timedelta(seconds=90)), now=now).delay == 0


def test_the_tasks_own_bound_goes_before_the_policys() -> None:
    assert decided(Outcome(Ended.ASKED_RETRY, max_retries=9), history=History(5)).do is Do.RETRY
    assert decided(Outcome(Ended.ASKED_RETRY, max_retries=0)).do is Do.BURY


def test_asking_once_too_often_ends_with_the_error_given_or_says_so() -> None:
    assert decided(Outcome(Ended.ASKED_RETRY, error=OOPS), history=History(3)).error is OOPS
    error = decided(Outcome(Ended.ASKED_RETRY), history=History(3)).error
    assert isinstance(error, TaskError)
    assert "after 3 retries" in str(error)


def test_an_expired_task_is_revoked() -> None:
    action = decided(lifecycle.expired(1000, 3500), ALWAYS)
    assert (action.do, action.state, type(action.error)) == (Do.END, State.REVOKED, TaskExpired)
    assert str(action.error) == "still waiting 2.5 s after its expires; it never ran"
    assert str(lifecycle.expired(1000, 3500, 1).error).endswith("it is not run again, after 1 try")


def test_an_exhausted_task_is_buried_with_what_it_died_of() -> None:
    history = History(deliveries=5, errors=[{"kind": "lost", "error": "was killed by SIGKILL"}, {"kind": "error", "error": "no"}])
    action = decided(lifecycle.exhausted(history, 5), ALWAYS)
    assert (action.do, type(action.error)) == (Do.BURY, WorkerLost)
    assert str(action.error) == "killed its worker process 5 times (max_deliveries=5): was killed by SIGKILL"


@pytest.mark.parametrize(("policy", "do"), [(NEVER, Do.BURY), (ALWAYS, Do.RETRY)])
def test_a_time_limit_counts_as_an_error_of_its_class(policy: RetryPolicy, do: Do) -> None:
    action = decided(lifecycle.overran(History(errors=[{"kind": "time limit", "error": "ran 9 s"}])), policy)
    assert (action.do, type(action.error), str(action.error)) == (do, TimeLimitExceeded, "ran 9 s")


def test_a_rejected_task_is_buried_whatever_the_policy() -> None:
    action = decided(lifecycle.rejected("bad input"), ALWAYS)
    assert (action.do, type(action.error), str(action.error)) == (Do.BURY, TaskRejected, "bad input")


def test_a_task_that_cannot_run_here_is_parked_for_who_can() -> None:
    assert decided(lifecycle.unrunnable("task:a.b")) == Action(Do.PARK, need="task:a.b")
