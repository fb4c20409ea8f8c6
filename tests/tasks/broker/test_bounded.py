"""A queue with `max_waiting`: what counts as waiting, who is refused, who waits for room, and who is never asked.

Of this kind: one task, a thousand, more than ever fit; lanes, parked and scheduled ones, and what a worker has in hand; the same
id again; several producers at once; threads, loops and other queues beside one that waits; retries, redeliveries, the dead,
outboxes; what somebody else put at the keys.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotqueue import ConfigError, DuplicateTask, HotQueue, NotTaken, QueueFull
from hotqueue.tasks.broker.bounded import Bound, BoundedBroker
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def test_one_more_than_may_wait_is_refused_and_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue(max_waiting=3)
    square = queue.task(sample.square)
    results = [square.delay(n) for n in range(3)]
    says = (
        f"queue '{queue.name}' has 3 tasks waiting, and max_waiting=3 leaves no room for another; not sent: start more workers, "
        "send later, wait for room with enqueue_timeout=, or raise max_waiting"
    )
    for send in (
        lambda: square.delay(4),
        lambda: square.apply_async((4,), priority=5),
        lambda: square.map([4]),
        lambda: queue.submit(sample.square, 4),
        lambda: queue.send(square.name, (4,)),
        lambda: asyncio.run(sent_by_loop(square)),
    ):
        with pytest.raises(QueueFull) as full:
            send()
        assert str(full.value) == says
    assert queue.pending() == 3
    assert make_queue().task(sample.square).delay(9).id  # whoever sets no bound is not bound by it
    assert queue.run_worker(burst=True) == 4
    assert [result.get(timeout=30) for result in results] == [0, 1, 4]
    assert square.delay(5).id
    queue.run_worker(burst=True)


def send_three(task: Any, batch: Any) -> None:
    with batch:
        for n in range(3):
            task.delay(n)


async def sent_by_loop(task: Any) -> Any:
    return await task.adelay(4)


def test_a_trip_goes_whole_or_not_at_all(make_queue: MakeQueue) -> None:
    queue = make_queue(max_waiting=5)
    square = queue.task(sample.square)
    with pytest.raises(QueueFull, match="0 tasks waiting, and 6 at once are more than may ever wait, max_waiting=5: send fewer"):
        square.map(range(6))
    first = square.map(range(3))
    with pytest.raises(QueueFull, match="has 3 tasks waiting, and max_waiting=5 leaves no room for 3 more; not sent"):
        square.map(range(3))
    batch = queue.batch()
    with pytest.raises(QueueFull):
        send_three(square, batch)
    assert (queue.pending(), len(batch)) == (3, 3)
    assert queue.run_worker(burst=True) == 3
    batch.send()
    assert (queue.pending(), len(batch)) == (3, 0)
    queue.run_worker(burst=True)
    assert first.get(timeout=30) == [0, 1, 4]


@only_server
def test_of_many_in_several_trips_it_is_said_how_many_were_sent(make_queue: MakeQueue) -> None:
    queue = make_queue(max_waiting=1500)
    with pytest.raises(QueueFull, match=r"no room for 1000 more; .*; 1,000 calls of map\(\) were sent before"):
        queue.task(sample.square).map(range(2500))
    assert queue.pending() == 1000
    queue.run_worker(burst=True)


@only_server
class TestWhatWaits:
    def test_what_is_known_already_takes_no_room(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=2)
        square = queue.task(sample.square)
        for _ in range(2):
            for n in range(2):
                square.apply_async((n,), task_id=f"id-{n}")
        with queue.batch():
            for n in range(2):
                square.apply_async((n,), task_id=f"id-{n}")
        assert queue.pending() == 2
        queue.run_worker(burst=True)
        square.apply_async((0,), task_id="id-0")
        assert queue.pending() == 0

    def test_what_waits_for_its_time_is_not_counted_and_always_comes(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=1)
        square = queue.task(sample.square)
        later = [square.apply_async((n,), countdown=60) for n in range(3)]
        square.delay(1)
        later.append(square.apply_async((4,), countdown=60))
        with pytest.raises(QueueFull, match="has 1 task waiting"):
            square.delay(2)
        assert queue.scheduled() == 4
        for result in later:
            result.revoke()
        queue.run_worker(burst=True)

    def test_what_waits_in_lanes_or_is_parked_is_counted(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=6)
        gated, square = queue.task(max_concurrency=1)(sample.double), queue.task(sample.square)
        for n in range(3):
            gated.delay(n)
        other = make_queue()
        for n in range(2):
            queue.send("nobody.knows", (n,))
        assert other.run_worker(burst=True) == 0  # parks what it does not know
        assert other._tasks.broker.counts()["parked"] >= 2
        square.delay(1)
        with pytest.raises(QueueFull, match="has 6 tasks waiting"):
            square.delay(2)
        queue.task(name="nobody.knows")(sample.note)
        wait_until(lambda: queue.run_worker(burst=True) >= 0 and queue.pending() == 0)

    def test_a_unique_one_needs_room_if_it_is_stored_and_takes_no_place_of_another(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=2)
        square = queue.task(unique=True)(sample.square)
        one, two = square.delay(1), square.delay(2)
        with pytest.raises(QueueFull):
            square.delay(3)
        with pytest.raises(DuplicateTask):
            square.delay(1)
        assert square.apply_async((1,), on_conflict="ignore").id == one.id
        other = square.apply_async((2,), on_conflict="replace")
        assert (other.id != two.id, two.state, queue.pending()) == (True, "REVOKED", 2)
        later = square.apply_async((4,), countdown=60)
        with pytest.raises(QueueFull):  # what it would replace is not counted
            square.apply_async((4,), on_conflict="replace")
        assert later.state == "SCHEDULED"
        later.revoke()
        queue.run_worker(burst=True)
        assert square.delay(3).id  # nothing is left of the one that was refused
        queue.run_worker(burst=True)

    def test_each_counts_once_wherever_it_waits(self, room: Any) -> None:
        broker = BoundedBroker(room.broker.store, room.queue.name, Bound(100))
        room.fill({"ready": {"a": 1}, "ready:async": {"b": 1}, "suspects": {"c": 1}, "blocked": {"d"}, "parked:unique": {"e": 1}})
        room.fill({"needs": {"s task"}, "parked:s task": {"f": 1, "g": 1}})
        assert broker.count_waiting() == 7

    def test_what_a_worker_has_in_hand_is_not(self, room: Any) -> None:
        broker = BoundedBroker(room.broker.store, room.queue.name, Bound(2))
        room.fill({"tasks": {"h": "x", "r": "x"}, "held:w": {"h": "1 s 5"}, "ready": {"r": 1}})
        assert broker.enqueue_one("a", b"\x01s\x64\x00") is True
        with pytest.raises(QueueFull, match="has 2 tasks waiting"):
            broker.enqueue_one("b", b"\x01s\x64\x00")

    def test_keys_of_the_wrong_type_are_not_counted(self, room: Any) -> None:
        broker = BoundedBroker(room.broker.store, room.queue.name, Bound(1))
        room.fill({"tasks": {"r": "x"}, "ready:async": {"r": 1}})
        for key in ("suspects", "blocked", "needs"):
            room.client.set(room.prefix + key, "not ours")
        with pytest.raises(QueueFull, match="has 1 task waiting"):
            broker.enqueue_one("b", b"\x01s\x64\x00")


@only_server
def test_nothing_that_comes_back_is_ever_refused(make_queue: MakeQueue) -> None:
    queue = make_queue(max_waiting=1)
    flaky = queue.task(retries=2, retry_backoff=False, default_retry_delay=0)(sample.flaky)
    boom = queue.task(sample.boom)
    dead = boom.delay()
    queue.run_worker(burst=True)
    result = flaky.delay(2)
    assert queue.retry_dead(dead) == 1  # a second one
    assert queue.pending() == 2
    queue.run_worker(burst=True)
    assert result.get(timeout=30) == "done"
    queue.discard_dead(all=True)


class TestWaitingForRoom:
    def test_who_waits_is_served_once_there_is_room(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=2, enqueue_timeout=30)
        square = queue.task(sample.square)
        results = [square.delay(n) for n in range(2)]
        sent: list[Any] = []
        sender = threading.Thread(target=lambda: sent.extend(square.delay(n) for n in range(2, 6)))
        sender.start()
        worked = 0
        while sender.is_alive() or queue.pending():
            worked += queue.run_worker(burst=True)
        assert worked == 6
        assert [result.get(timeout=30) for result in results + sent] == [n * n for n in range(6)]

    @only_server
    def test_a_map_goes_on_in_parts_as_room_comes(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=10, enqueue_timeout=30)
        square = queue.task(sample.square)
        most, results = 0, []
        sender = threading.Thread(target=lambda: results.extend(square.map(range(100))))
        sender.start()
        while sender.is_alive() or queue.pending():
            most = max(most, queue.pending())
            queue.run_worker(burst=True, max_tasks=5)
        assert [result.get(timeout=30) for result in results] == [n * n for n in range(100)]
        assert most <= 10

    @only_server
    def test_the_time_is_over_at_last(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=1, enqueue_timeout=0.3)
        square = queue.task(sample.square)
        square.delay(1)
        began = time.monotonic()
        with pytest.raises(QueueFull, match=r"no room for another, nor did it within 0.3 s; not sent: start more workers"):
            square.delay(2)
        with pytest.raises(QueueFull, match=r"within 0\.3 s"):
            asyncio.run(sent_by_loop(square))
        assert time.monotonic() - began >= 0.6
        assert queue.pending() == 1
        queue.run_worker(burst=True)

    @only_server
    def test_a_loop_turns_on_meanwhile_and_is_not_held_up_by_delay(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=1, enqueue_timeout=30)
        square = queue.task(sample.square)
        square.delay(1)

        async def use() -> int:
            waits = asyncio.ensure_future(square.adelay(2))
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not waits.done()
            with pytest.raises(QueueFull, match=r"would hold up this thread's event loop, await adelay\(\)"):
                square.delay(3)
            await asyncio.to_thread(queue.run_worker, burst=True)
            result = await waits
            await asyncio.to_thread(queue.run_worker, burst=True)
            return await result

        assert asyncio.run(use()) == 4

    @only_server
    def test_other_threads_and_other_queues_send_meanwhile(self, make_queue: MakeQueue) -> None:
        queue = make_queue(max_waiting=1, enqueue_timeout=30)
        elsewhere = make_queue(f"{queue.name}-other")
        square, other = queue.task(sample.square), elsewhere.task(sample.square)
        square.delay(1)
        waiting = threading.Thread(target=square.delay, args=(2,))
        waiting.start()
        began = time.monotonic()
        for n in range(50):
            other.delay(n)
            square.apply_async((n,), queue=f"{queue.name}-other")
            queue.pending()
        assert time.monotonic() - began < 5
        assert waiting.is_alive()
        queue.run_worker(burst=True)
        waiting.join(timeout=30)
        assert not waiting.is_alive()
        queue.run_worker(burst=True)
        assert elsewhere.run_worker(burst=True) == 100

    @only_server
    def test_who_waits_asks_seldom(self, make_queue: MakeQueue, store_url: str) -> None:
        queue = make_queue(max_waiting=1, enqueue_timeout=1)
        square = queue.task(sample.square)
        square.delay(1)
        before = scripts_run(store_url)
        with pytest.raises(QueueFull):
            square.delay(2)
        assert scripts_run(store_url) - before < 20
        queue.run_worker(burst=True)


def scripts_run(url: str) -> int:
    import redis

    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


@only_server
def test_several_producers_never_make_more_wait_than_may(make_queue: MakeQueue) -> None:
    queues = [make_queue(max_waiting=20) for _ in range(4)]
    refused = []

    def send(queue: HotQueue) -> None:
        square = queue.task(sample.square)
        for n in range(20):
            try:
                square.delay(n)
            except QueueFull:
                refused.append(n)

    threads = [threading.Thread(target=send, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (queues[0].pending(), len(refused)) == (20, 60)
    queues[0].run_worker(burst=True)


@only_server
def test_who_sets_no_bound_pays_nothing_for_it(make_queue: MakeQueue, store_url: str) -> None:
    import redis

    def commands(queue: HotQueue) -> dict[str, int]:
        task = queue.task(sample.square)
        task.delay(0)  # connects, and brings the scripts
        task.map(range(2))
        with redis.Redis.from_url(store_url) as client:
            client.config_resetstat()
            for n in range(10):
                task.delay(n)
            task.map(range(100))
            return {name[8:]: stat["calls"] for name, stat in client.info("commandstats").items()}

    plain, bounded = commands(make_queue()), commands(make_queue(max_waiting=100_000))
    assert "hlen" not in plain
    assert bounded["hlen"] == 11
    make_queue().run_worker(burst=True)


class TestSettings:
    @pytest.mark.parametrize("value", [0, -1, True, "5", 2.5])
    def test_a_bound_that_is_none_is_refused(self, value: Any) -> None:
        with pytest.raises(
            ConfigError, match=f"max_waiting is a whole number of at least 1, or None for no bound, not {value!r}"
        ):
            HotQueue("q", max_waiting=value)

    @pytest.mark.parametrize(
        ("value", "error"), [(-1, ValueError), ("5", TypeError), (True, TypeError), (float("nan"), ValueError)]
    )
    def test_a_time_that_is_none_is_refused(self, value: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"HotQueue\('q', enqueue_timeout=\) takes seconds"):
            HotQueue("q", max_waiting=1, enqueue_timeout=value)

    def test_a_time_needs_a_bound(self) -> None:
        with pytest.raises(ConfigError, match="is for a queue with max_waiting="):
            HotQueue("q", enqueue_timeout=5)

    def test_they_travel_with_the_queue(self, make_queue: MakeQueue) -> None:
        import pickle

        queue = pickle.loads(pickle.dumps(make_queue(max_waiting=7, enqueue_timeout=None)))
        assert queue._tasks.bound_of(queue.name) == Bound(7, None)
        assert queue._tasks.bound_of("another") is None
        queue.close()


class TestInsideOfTesting:
    """`queue.testing()`: tasks run at once, so that only a paused queue fills up; nobody waits for room there."""

    def test_a_paused_queue_fills_up(self) -> None:
        queue = HotQueue("q", host="127.0.0.1", port=1, max_waiting=2, enqueue_timeout=60)
        square = queue.task(sample.square)
        with queue.testing():
            assert [square.delay(n).get(timeout=30) for n in range(5)] == [0, 1, 4, 9, 16]
            queue.pause()
            waiting = [square.delay(n) for n in range(2)]
            square.apply_async((0,), task_id=waiting[0].id)
            with pytest.raises(QueueFull, match="has 2 tasks waiting, and max_waiting=2 leaves no room for another"):
                square.delay(3)
            queue.resume()
            assert [result.get(timeout=30) for result in waiting] == [0, 1]


@only_server
class TestInParts:
    """What may wait for room goes in parts of half of what may wait: of a failure in a later one it is said what came before."""

    SAID = "3 of the 6 sent together were stored, the others not"

    @pytest.fixture
    def queue(self, make_queue: MakeQueue, start_redis: Callable[..., RedisServer]) -> HotQueue:
        url = start_redis("--proto-max-bulk-len", "1mb").url
        return make_queue(url=url, max_waiting=6, enqueue_timeout=0.05)

    @staticmethod
    def waiting(queue: HotQueue) -> int:
        return queue._tasks.broker.counts()["ready"]

    def test_there_is_no_room_for_a_later_one(self, queue: HotQueue) -> None:
        square = queue.task(sample.square)
        square.map(range(2))
        says = rf"has 5 tasks waiting.* leaves no room for 3 more, nor did it within 0\.05 s; {self.SAID}: start more workers"
        with pytest.raises(QueueFull, match=says):
            square.map(range(6))
        assert self.waiting(queue) == 5
        with pytest.raises(QueueFull, match=r"no room for 3 more, nor did it within 0\.05 s; not sent: start"):
            square.map(range(6))
        assert self.waiting(queue) == 5

    def test_a_later_one_has_a_duplicate(self, queue: HotQueue) -> None:
        job = queue.task(unique="{n}")(sample.square)
        first = job.delay(4)
        with pytest.raises(DuplicateTask, match=rf"^item 4 of map\(\): .*task {first.id}; {self.SAID}\. Wait for"):
            job.map(range(6))
        assert self.waiting(queue) == 4

    def test_a_batch_and_a_loop_are_told_as_well(self, queue: HotQueue) -> None:
        job = queue.task(unique="{n}")(sample.square)
        job.delay(4)
        batch = queue.batch()

        async def send_six() -> None:
            async with batch:
                for n in range(6):
                    await job.adelay(n)

        with pytest.raises(DuplicateTask, match=self.SAID):
            asyncio.run(send_six())
        assert (len(batch), self.waiting(queue)) == (5, 4)
        batch.send()
        assert (len(batch), self.waiting(queue)) == (0, 6)

    @pytest.mark.parametrize("most", [6, 2])
    def test_one_that_is_too_large_holds_up_no_others(
        self, start_redis: Callable[..., RedisServer], make_queue: MakeQueue, most: int
    ) -> None:
        """Whichever part it is in: a batch forgets what it takes for sent."""
        url = start_redis("--proto-max-bulk-len", "1mb").url
        queue = make_queue(url=url, max_waiting=most, enqueue_timeout=20)
        note = queue.task(sample.note)
        batch = queue.batch()

        def send() -> None:
            with batch:
                for n in range(6):
                    note.delay("x" * 2_000_000 if n == 1 else n)

        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            wait_until(lambda: queue.run_worker(burst=True) >= 0 and sent.done())
        with pytest.raises(NotTaken, match=r"^1 of 6 tasks was refused, the others were sent: .*invalid bulk length"):
            sent.result()
        queue.run_worker(burst=True)
        assert (len(batch), len(sample.seen)) == (1, 5)
