"""The worker of sync tasks: its queues take turns, suspects run alone, what it does not come to goes to others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.errors import WorkerLost
from hotqueue.tasks import State
from hotqueue.tasks.worker.process import Process
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_queues_of_one_process_take_turns(make_queue: MakeQueue, queue_name: str, start: Callable[..., Process]) -> None:
    one, other = make_queue(), make_queue(queue_name + "-other")
    a = one.task(name="a")(sample.nap).map([0.01] * 100)
    b = other.task(name="b")(sample.nap).map([0.01] * 5)
    process = Process([one._tasks, other._tasks])
    thread = threading.Thread(target=process.run)
    thread.start()
    b.get(timeout=30)
    left = one.pending()
    began = time.monotonic()
    a.get(timeout=30)
    process.stop_fetching()
    thread.join(20)
    assert left > 50, f"the other queue waited for {100 - left} tasks; the rest took {time.monotonic() - began:.1f} s"


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
    assert after.get(timeout=30) == list(range(20))
    sample.go_on.set()
    worker.join(20)
    assert sorted(map(str, seen)) == sorted(["warm"] * 400 + ["held"] + [str(n) for n in range(20)])


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
        others = [*queue.task(sample.beside).map(range(12)), *queue.task(sample.abeside).map(range(12))]
        queue.run_worker(burst=True, threads=threads)
        assert alone.get(timeout=30) == 0
        assert [r.get(timeout=30) for r in others] == [*range(12), *range(12)]

    def test_what_is_sent_meanwhile_waits_until_it_has_ended(self, room: Room) -> None:
        queue = room.queue
        alone, beside = queue.task(sample.alone).delay(), queue.task(sample.beside)
        moved = room["ready"][alone.id]
        room.client.zrem(room.prefix + "ready", alone.id)
        room.fill({"suspects": {alone.id: moved}, "attempts": {alone.id: "0 1 - - - 0 0 1"}})

        def send() -> None:
            wait_until(lambda: alone.state is not State.PENDING)
            beside.map(range(12))

        sender = threading.Thread(target=send)
        sender.start()
        queue.run_worker(burst=True, threads=3)
        sender.join()
        queue.run_worker(burst=True, threads=3)
        assert alone.get(timeout=30) == 0

    def test_the_fifth_death_convicts_it(self, room: Room) -> None:
        queue = room.queue
        result = queue.task(sample.note).delay()
        room.fill({"attempts": {result.id: '0 5 - - -\n{"at":1,"kind":"lost","error":"was killed by SIGSEGV"}'}})
        queue.run_worker(burst=True)
        with pytest.raises(WorkerLost, match=r"killed its worker process 5 times \(max_deliveries=5\): was killed by SIGSEGV"):
            result.get(timeout=30)
        assert (seen, [d.deliveries for d in queue.dead()]) == ([], [5])
