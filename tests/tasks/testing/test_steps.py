"""Steps of workflows inside `queue.testing()`: what waits, what an end means to those behind it; the dead and the revoked.

Of this kind: each way a step can end, in front of each kind of step; a queue that is paused; steps of another queue, async ones.
"""

from __future__ import annotations

import pytest

from hotqueue import EarlierStepFailed, ResultTimeout, TaskRevoked, UnknownTask
from hotqueue.tasks import State, chain, chord, group
from tests.tasks import sample
from tests.tasks.testing.tasks import asquare, other, queue, relay, square


def test_what_waits_is_seen_to_wait() -> None:
    with queue.testing():
        queue.pause()
        last = (square.s(2) | square.s()).delay()
        assert last.state is State.PENDING
        assert (queue.pending(), queue.stats()["steps"]) == (2, 1)
        with pytest.raises(ResultTimeout, match=f"it waits for task {last.root.id}"):
            last.get()
        queue.resume()
        assert last.get(timeout=30) == 16


def test_a_revoked_step_ends_those_behind_it() -> None:
    with queue.testing():
        queue.pause()
        last = (square.s(2) | square.s() | square.s()).delay()
        assert last.root.revoke() == "revoked"
        assert [node.state for node in queue.workflow(last.id).nodes] == [State.REVOKED] * 3
        with pytest.raises(TaskRevoked, match="was revoked"):
            last.get(timeout=30)
        last.root.forget()
        with pytest.raises(EarlierStepFailed, match=f"task {last.root.id}") as raised:
            last.get(timeout=30)
        assert raised.value.step == last.root.id


def test_errbacks_that_are_not_wanted_leave_nothing() -> None:
    with queue.testing():
        errback = queue.task(lambda *told: sample.seen.append("called")).s()
        last = chain(square.s(2), square.s()).on_error(errback | errback).delay()
        assert last.get(timeout=30) == 16
        states = [node.state for node in queue.workflow(last.id).nodes]
        assert (queue.pending(), sample.seen, states[2:]) == (0, [2, 4], [State.UNKNOWN] * 2)


def test_it_runs_steps_of_other_queues_and_async_ones() -> None:
    with queue.testing():
        assert chain(square.s(1), relay.s(), asquare.s()).delay().get(timeout=30) == 4
        assert chord([relay.s(2), asquare.s(3)], other.task(sum).s()).delay().get(timeout=30) == 14
        assert group(asquare.s(n) for n in range(20)).delay().get(timeout=30) == [n * n for n in range(20)]


def test_an_unknown_task_is_not_waited_for() -> None:
    with queue.testing(), pytest.raises(UnknownTask, match="depends_on= names task nobody"):
        square.apply_async((1,), depends_on=[queue.result("nobody")])


def test_one_that_failed_before_ends_it() -> None:
    with queue.testing():
        failed = queue.task(sample.boom).delay()
        behind = square.apply_async((1,), depends_on=[failed])
        assert behind.state is State.FAILURE
        with pytest.raises(OSError, match="boom"):
            behind.get(timeout=30)


def test_what_ended_behind_several_dead_ones_waits_again_once_all_are_retried() -> None:
    fails = [True, True]
    once = queue.task(lambda n: n if not fails else fails.pop() and 1 / 0)
    with queue.testing():
        last = chain(group(once.s(1), once.s(2)), queue.task(sum).s(), square.s()).delay()
        first, second = last.root
        assert last.state is State.FAILURE
        queue.retry_dead(first)
        assert (first.get(timeout=30), last.state) == (1, State.FAILURE)
        queue.retry_dead(second)
        assert last.get(timeout=30) == 9


def test_retries_are_waited_for() -> None:
    with queue.testing():
        flaky = queue.task(retries=3)(sample.flaky)
        assert (flaky.s(2) | queue.task(sample.note).s()).delay().get(timeout=30) == "done"
