"""A worker finds out what it holds; one that was given up forgets it, takes a new name and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import copy_context

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks import State
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.execution.test_executor import call
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class TestGivenUp:
    def test_a_worker_that_was_given_up_takes_a_new_name_and_its_outcome_does_not_count(
        self, room: Room, start: Callable[..., Process], caplog: pytest.LogCaptureFixture
    ) -> None:
        queue = room.queue
        result = queue.task(sample.hold).delay("x")
        process = start(queue)
        wait_until(lambda: seen)
        old = process.workers[0].presence.id
        room.broker.reap(old, known_dead=True)  # as another would, once the lease has run out
        other = queue._tasks.broker
        assert other.look(result.id).where == "ready"
        sample.go_on.set()
        assert result.get(timeout=30) == "x"
        wait_until(lambda: process.workers[0].presence.id != old)
        assert seen == ["x", "x"]
        assert f"task {result.id} was no longer ours" in caplog.text
        assert "was given up" in caplog.text
        wait_until(lambda: [w["worker"] for w in queue.workers()] == [process.workers[0].presence.id])

    def test_coroutines_are_cancelled_with_lease_lost_and_run_again(self, room: Room, start: Callable[..., Process]) -> None:
        queue = room.queue
        result = queue.task(sample.ahold).delay("x")
        process = start(queue)
        wait_until(lambda: seen == ["x"])
        room.broker.reap(process.workers[-1].presence.id, known_dead=True)
        queue.task(sample.asquare).delay(1)  # something to step for
        wait_until(lambda: "LeaseLost" in seen)
        sample.go_on.set()
        assert result.get(timeout=30) == "x"
        assert seen == ["x", "LeaseLost", "x"]

    def test_who_is_told_too_late_that_tasks_are_lost_puts_them_back_and_fails_none(
        self, room: Room, start: Callable[..., Process]
    ) -> None:
        queue = room.queue
        result = queue.task(sample.ahold).delay("x")
        process = start(queue)
        wait_until(lambda: seen == ["x"])
        process.workers[-1].was_given_up(0, time.monotonic())  # as its supervisor says: it was, and is there again
        wait_until(lambda: seen == ["x", "LeaseLost", "x"])
        sample.go_on.set()
        assert result.get(timeout=30) == "x"
        assert (result.retries, result.history) == (0, [])

    def test_who_was_not_there_before_it_registered_loses_nothing_that_runs(
        self, room: Room, start: Callable[..., Process]
    ) -> None:
        before = time.monotonic()
        queue = room.queue
        result = queue.task(sample.ahold).delay("x")
        process = start(queue)
        wait_until(lambda: seen == ["x"])
        worker = process.workers[-1]
        worker.was_given_up(0, before)  # a sweep was sent before, and says so only now
        process.event_loop().run(call(sample.asquare, 1), copy_context(), None)  # so that a cancellation before would be over
        sample.go_on.set()
        assert result.get(timeout=30) == "x"
        assert seen == ["x"]

    def test_keys_that_are_gone_are_no_reason_to_stop(self, room: Room, start: Callable[..., Process]) -> None:
        start(room.queue)
        room.client.flushdb()
        assert room.queue.task(sample.square).delay(3).get(timeout=30) == 9


def test_what_a_worker_holds_and_knows_nothing_of_runs(
    make_queue: MakeQueue, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it told a master that was left for another one, without an error: the other one never heard that it is done."""
    monkeypatch.setattr("hotqueue.tasks.worker.subscription.RECOVER_EVERY", 0.1)
    queue = make_queue()
    hold, square = queue.task(sample.hold), queue.task(sample.square)
    process = start(queue)
    first = hold.delay(1)
    wait_until(lambda: first.state is State.STARTED)
    second = square.delay(3)
    ready, held = keys.ready(queue.name), keys.held(queue.name, process.workers[0].presence.id)
    source = "local t = redis.call('ZPOPMIN', KEYS[1]); return redis.call('HSET', KEYS[2], t[1], '1 s ' .. t[2])"
    assert queue._store.command(ready, "EVAL", source, 2, ready, held) == 1
    assert second.state is State.STARTED
    sample.go_on.set()
    assert second.get(timeout=30) == 9


def test_a_worker_that_asks_what_it_holds_learns_that_it_was_given_up(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(3))
    [subscription] = worker.subscriptions
    assert worker.step(subscription, 3) is not None
    assert len(subscription.in_hand) == 3
    old = worker.presence.id
    queue._tasks.broker.reap(old, known_dead=True)
    assert worker._recover(subscription)
    assert (worker.presence.id != old, worker.subscriptions[0].in_hand, worker.permits.drain()) == (True, {}, {})
    assert [told["worker"] for told in queue.workers()] == [worker.presence.id]
    while worker.turn():
        pass
    assert results.get(30) == [0, 2, 4]
