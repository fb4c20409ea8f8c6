"""One worker, in this process: parking, being given up, lost replies, taking back, suspects."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.errors import WorkerLost
from hotqueue.tasks import State
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.worker.process import Process
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


@pytest.fixture
def start(make_queue: MakeQueue) -> Iterator[Callable[..., Process]]:
    """``start(queue, …)`` → a Process that runs in a thread; stopped at the end."""
    started: list[tuple[Process, threading.Thread]] = []

    def begin(queue: HotQueue, **options: Any) -> Process:
        process = Process([queue._tasks], **{"lease_ms": 60_000, **options})
        started.append((process, threading.Thread(target=process.run)))
        started[-1][1].start()
        wait_until(lambda: queue._tasks.broker.where_is(process.workers[0].presence.id)[0])
        return process

    yield begin
    for process, thread in started:
        process.stop_fetching()
        sample.go_on.set()
        thread.join(20)
        assert not thread.is_alive()


def test_an_unknown_task_is_parked_until_a_worker_knows_it(make_queue: MakeQueue) -> None:
    sender, ignorant, knowing = make_queue(), make_queue(), make_queue()
    results = [sender.task(name=n)(f).delay(3) for n, f in [("a", sample.square), ("b", sample.asquare)]]
    assert ignorant.run_worker(burst=True) == 0
    assert ([r.state for r in results], sender.pending(), sender.running()) == ([State.PENDING] * 2, 2, 0)
    knowing.task(name="a")(sample.square)
    assert knowing.run_worker(burst=True) == 1
    knowing.task(name="b")(sample.asquare)
    assert knowing.run_worker(burst=True) == 1
    assert [r.get(timeout=5) for r in results] == [9, 9]


@only_server
def test_parked_tasks_keep_their_place(make_queue: MakeQueue) -> None:
    sender, worker = make_queue(), make_queue()
    strange = sender.task(name="strange")(sample.note)
    strange.delay("first")
    worker.run_worker(burst=True)
    strange.apply_async(("higher",), priority=1)
    strange.delay("second")
    worker.task(name="strange")(sample.note)
    wait_until(lambda: worker.run_worker(burst=True) or len(seen) == 3)
    assert sorted(seen) == ["first", "higher", "second"]


@only_server
def test_a_parked_task_can_be_revoked(make_queue: MakeQueue) -> None:
    sender, worker = make_queue(), make_queue()
    result = sender.task(name="strange")(sample.note).delay(1)
    worker.run_worker(burst=True)
    assert result.revoke() == "revoked"
    worker.task(name="strange")(sample.note)
    assert (worker.run_worker(burst=True), seen, result.state) == (0, [], State.REVOKED)


@only_server
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
        assert result.get(timeout=10) == "x"
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
        assert result.get(timeout=10) == "x"
        assert seen == ["x", "LeaseLost", "x"]

    def test_who_is_told_too_late_that_tasks_are_lost_puts_them_back_and_fails_none(
        self, room: Room, start: Callable[..., Process]
    ) -> None:
        queue = room.queue
        result = queue.task(sample.ahold).delay("x")
        process = start(queue)
        wait_until(lambda: seen == ["x"])
        process.workers[-1].give_up_running_of(0)  # as the supervisor has it do: it was given up before, and is there again
        wait_until(lambda: seen == ["x", "LeaseLost", "x"])
        sample.go_on.set()
        assert result.get(timeout=10) == "x"
        assert (result.retries, result.history) == (0, [])

    def test_keys_that_are_gone_are_no_reason_to_stop(self, room: Room, start: Callable[..., Process]) -> None:
        start(room.queue)
        room.client.flushdb()
        assert room.queue.task(sample.square).delay(3).get(timeout=20) == 9


@only_server
class TestLostReplies:
    @pytest.fixture
    def proxied(self, store_url: str, make_queue: MakeQueue) -> Iterator[tuple[Proxy, HotQueue]]:
        proxy = Proxy(store_url)
        yield proxy, make_queue(url=proxy.url)
        proxy.close()

    def test_no_task_is_lost_or_run_twice_while_replies_of_all_kinds_are_lost(
        self, proxied: tuple[Proxy, HotQueue], make_queue: MakeQueue, start: Callable[..., Process]
    ) -> None:
        proxy, theirs = proxied
        ours = make_queue()
        theirs.task(sample.note)
        note = ours.task(sample.note)
        start(theirs)
        for _ in range(5):
            proxy.lose_reply(b"EVALSHA", times=2)
            proxy.lose_request(b"EVALSHA", times=1)
        results = note.map(range(300))
        assert results.get(timeout=50) == list(range(300))
        assert proxy.faults["lose reply"] + proxy.faults["lose request"] >= 8
        assert sorted(seen) == list(range(300))

    @pytest.mark.parametrize("size", [1000, 300_000])  # with the next step, and apart
    def test_an_outcome_whose_reply_was_lost_counted_and_is_not_said_not_to(
        self, proxied: tuple[Proxy, HotQueue], start: Callable[..., Process], caplog: pytest.LogCaptureFixture, size: int
    ) -> None:
        proxy, queue = proxied
        large = queue.task(sample.large)
        process = start(queue)
        proxy.lose_reply(lambda request: scripts.STEP.sha in request and b"x" * size in request)
        assert len(large.delay(size).get(timeout=20)) == size
        wait_until(lambda: not any(subscription.in_hand for worker in process.workers for subscription in worker.subscriptions))
        assert proxy.pending == 0
        assert "does not count" not in caplog.text


@only_server
def test_what_stands_behind_a_task_that_drags_is_taken_back_for_others(
    make_queue: MakeQueue, start: Callable[..., Process]
) -> None:
    queue = make_queue()
    note, hold = queue.task(sample.note), queue.task(sample.hold)
    note.map(["warm"] * 400)
    hold.delay("held")
    after = note.map(range(20))
    worker = threading.Thread(target=queue.run_worker, kwargs={"burst": True})
    worker.start()
    wait_until(lambda: "held" in seen)
    make_queue().task(sample.note)
    other = make_queue()
    other.task(sample.note)
    wait_until(lambda: other.run_worker(burst=True) or after.ready())
    assert after.get(timeout=10) == list(range(20))
    sample.go_on.set()
    worker.join(20)
    assert sorted(map(str, seen)) == sorted(["warm"] * 400 + ["held"] + [str(n) for n in range(20)])


@only_server
class TestAlone:
    @pytest.mark.parametrize("threads", [1, 3])
    def test_a_task_that_a_process_died_of_runs_with_nothing_beside_it(
        self, room: Room, make_queue: MakeQueue, threads: int
    ) -> None:
        queue = room.queue
        alone = queue.task(sample.alone).delay()
        moved = room["ready"][alone.id]
        room.client.zrem(room.prefix + "ready", alone.id)
        room.fill({"suspects": {alone.id: moved}, "attempts": {alone.id: "0 1 - - - 0 0 1"}})
        others = queue.task(sample.beside).map(range(12)).results + queue.task(sample.abeside).map(range(12)).results
        queue.run_worker(burst=True, threads=threads)
        assert alone.get(timeout=5) == 0
        assert [r.get(timeout=5) for r in others] == [*range(12), *range(12)]

    def test_the_fifth_death_convicts_it(self, room: Room) -> None:
        queue = room.queue
        result = queue.task(sample.note).delay()
        room.fill({"attempts": {result.id: '0 5 - - -\n{"at":1,"kind":"lost","error":"was killed by SIGSEGV"}'}})
        queue.run_worker(burst=True)
        with pytest.raises(WorkerLost, match=r"killed its worker process 5 times \(max_deliveries=5\): was killed by SIGSEGV"):
            result.get(timeout=5)
        assert (seen, [d.deliveries for d in queue.dead()]) == ([], [5])


@only_server
def test_failures_retries_and_parking_are_a_line_each_and_successes_at_debug(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue, other = make_queue(), make_queue()
    square, boom, flaky = queue.task(sample.square), queue.task(sample.boom), queue.task(retries=1)(sample.flaky)
    results = {"ok": square.delay(1), "boom": boom.delay("a\nb"), "flaky": flaky.delay(5)}
    results["late"] = square.apply_async((1,), expires=0.000001)
    results["odd"] = other.task(name="odd")(sample.square).delay(1)
    with caplog.at_level(logging.DEBUG, "hotqueue.worker"):
        wait_until(lambda: queue.run_worker(burst=True) is not None and results["late"].ready())
    lines = {r.id: [x.getMessage() for x in caplog.records if r.id in x.getMessage()] for r in results.values()}
    levels = {r.id: {x.levelname for x in caplog.records if r.id in x.getMessage()} for r in results.values()}

    def line(name: str) -> str:
        return lines[results[name].id][0]

    assert "succeeded in" in line("ok")
    assert levels[results["ok"].id] == {"DEBUG"}
    assert re.search(r"failed after \d\.\d{3} s: OSError: \[Errno 5\] a; kept in the dead list$", line("boom"))
    assert "will be retried in" in line("flaky")
    assert "(retry 1): OSError: failure 0" in line("flaky")
    assert "ended without running" in line("late")
    assert line("odd").endswith("cannot run here and is kept for a worker with task:odd")
    results["flaky"].revoke()
    results["odd"].revoke()
    queue.discard_dead(all=True)


@only_server
def test_queues_of_one_process_take_turns(make_queue: MakeQueue, queue_name: str, start: Callable[..., Process]) -> None:
    one, other = make_queue(), make_queue(queue_name + "-other")
    a = one.task(name="a")(sample.nap).map([0.01] * 100)
    b = other.task(name="b")(sample.nap).map([0.01] * 5)
    process = Process([one._tasks, other._tasks])
    thread = threading.Thread(target=process.run)
    thread.start()
    b.get(timeout=20)
    left = one.pending()
    began = time.monotonic()
    a.get(timeout=20)
    process.stop_fetching()
    thread.join(20)
    assert left > 50, f"the other queue waited for {100 - left} tasks; the rest took {time.monotonic() - began:.1f} s"


@only_server
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
    assert queue.store.command(ready, "EVAL", source, 2, ready, held) == 1
    assert second.state is State.STARTED
    sample.go_on.set()
    assert second.get(timeout=10) == 9
