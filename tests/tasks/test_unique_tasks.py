"""Unique tasks as users have them, on every kind of server, with workers of this process.

Of this kind: each way to send (alone, many, in a batch, from asyncio, later, to another queue, by value, signed) and what the
caller has in his hands then. What scripts do: tests/tasks/broker/test_unique.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import DuplicateTask, HotQueue, TaskRevoked
from hotqueue.tasks import State
from hotqueue.tasks.client.definition import definition_of
from tests.support import leaks
from tests.support.waiting import wait_until
from tests.tasks.contents import Room


def known(task: Any) -> Any:
    """Have workers of this process know a task by its name."""
    definition_of(task).by_value = False
    return task


def work(queue: HotQueue) -> None:
    queue.run_worker(burst=True)


def check_nothing_left(queue: HotQueue) -> None:
    left = leaks.keys_of(queue._store.client(), queue.name)
    assert [key for key in left if any(word in key for word in (":unique", ":parked", ":attempts"))] == []


def test_one_at_a_time_is_there_and_the_next_may_come(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()

    @queue.task(name="mail", unique="user-{user_id}")
    def mail(user_id: int, kind: str = "welcome") -> str:
        return f"{kind} {user_id}"

    known(mail)
    first = mail.delay(1)
    with pytest.raises(
        DuplicateTask, match=f"task mail with the unique key 'user-1' is there already: it is task {first.id}"
    ) as caught:
        mail.delay(1, kind="other")
    assert queue.result(caught.value.task_id) == first
    other = mail.delay(2)
    ignored = mail.apply_async((1,), on_conflict="ignore")
    assert ignored == first
    assert mail.apply_async((1,), unique=False).id != first.id  # one call that is not
    newest = mail.apply_async((1, "newest"), countdown=0.01, on_conflict="replace")
    assert first.state == State.REVOKED
    with pytest.raises(TaskRevoked, match=f"task {first.id} was replaced by task {newest.id}, which has the same unique key"):
        first.get(timeout=30)
    work(queue)
    assert (newest.get(timeout=30), other.get(timeout=30)) == ("newest 1", "welcome 2")
    assert mail.delay(1).id != newest.id
    queue.result(mail.apply_async((1,), on_conflict="ignore").id).revoke()
    check_nothing_left(queue)


def test_who_replaces_what_runs_waits_for_it(make_queue: Callable[..., HotQueue]) -> None:
    queue, started, go_on = make_queue(), threading.Event(), threading.Event()
    running: list[int] = []

    @queue.task(name="sync", unique=True, on_conflict="replace")
    def sync() -> int:
        running.append(1)
        assert len(running) == 1
        started.set()
        go_on.wait(20)
        running.pop()
        return 1

    known(sync)
    first = sync.delay()
    workers = [threading.Thread(target=work, args=(queue,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert started.wait(20)
    second = sync.delay()
    third = sync.delay()
    assert (first.state, second.state, third.state, queue.pending()) == (State.STARTED, State.REVOKED, State.PENDING, 1)
    go_on.set()
    assert (first.get(timeout=30), third.get(timeout=30)) == (1, 1)
    for worker in workers:
        worker.join()
    check_nothing_left(queue)


@pytest.mark.servers("server")
class TestWaysToSend:
    @pytest.fixture
    def queue(self, room: Room) -> HotQueue:
        return room.queue

    @pytest.fixture
    def job(self, queue: HotQueue) -> Any:
        @queue.task(name="job", unique="{n}")
        def job(n: int) -> int:
            return n

        return known(job)

    def test_map_is_refused_as_a_whole_or_gives_the_handles_of_those_that_are_there(self, queue: HotQueue, job: Any) -> None:
        first = job.delay(2)
        with pytest.raises(
            DuplicateTask, match=rf"item 1 of map\(\): task job.*'2'.*task {first.id}; nothing of this was stored"
        ):
            job.map([1, 2, 3])
        assert queue.pending() == 1
        definition_of(job).options = job_options(job, on_conflict="ignore")
        results = job.map([1, 2, 1, 3])
        assert (results[1], results[0]) == (first, results[2])
        work(queue)
        assert results.get(timeout=30) == [1, 2, 1, 3]

    def test_of_a_long_map_those_before_were_sent(self, queue: HotQueue, job: Any) -> None:
        job.delay(1500)
        with pytest.raises(DuplicateTask, match=r"item 1500 of map\(\).*; 1,000 calls before these were sent"):
            job.map(range(2000))
        assert queue.pending() == 1001

    def test_a_batch_drops_what_is_there_and_sends_the_rest_when_asked(self, queue: HotQueue, job: Any) -> None:
        first = job.delay(1)
        batch, sent = queue.batch(), list[Any]()

        def send() -> None:
            with batch:
                sent.extend([job.delay(2), job.delay(1), job.apply_async((1,), on_conflict="ignore")])

        with pytest.raises(DuplicateTask):
            send()
        two, again, three = sent
        assert (len(batch), queue.pending()) == (2, 1)
        batch.send()
        assert (len(batch), queue.pending(), three, again.state) == (0, 2, first, State.UNKNOWN)
        work(queue)
        assert two.get(timeout=30) == 2

    def test_asyncio(self, queue: HotQueue, job: Any) -> None:
        async def main() -> None:
            first = await job.adelay(1)
            with pytest.raises(DuplicateTask) as caught:
                await job.adelay(1)
            assert caught.value.task_id == first.id
            async with queue.batch():
                second = job.apply_async((1,), on_conflict="ignore")
            assert second == first

        asyncio.run(main())

    def test_to_another_queue_it_has_that_queues_keys(self, queue: HotQueue, job: Any, other: Room) -> None:
        first = job.apply_async((1,), queue=other.queue.name)
        second = job.delay(1)
        assert job.apply_async((1,), queue=other.queue.name, on_conflict="ignore") == first != second

    def test_its_own_id_is_no_duplicate(self, queue: HotQueue, job: Any) -> None:
        first = job.apply_async((1,), task_id="mine")
        assert job.apply_async((1,), task_id="mine") == first
        assert queue.pending() == 1

    def test_while_it_is_scheduled_retried_or_parked_it_is_there(self, queue: HotQueue, job: Any) -> None:
        job.apply_async((1,), countdown=60)
        with pytest.raises(DuplicateTask):
            job.delay(1)

    def test_by_value_and_in_another_process(self, queue: HotQueue) -> None:
        def local(n: dict[str, int]) -> int:
            return n["a"]

        task = queue.task(unique=True, on_conflict="ignore")(local)
        first, second = task.delay({"a": 1, "b": 2}), task.delay({"b": 2, "a": 1})
        assert first == second
        work(queue)
        assert first.get(timeout=30) == 1

    def test_of_a_method_the_instance_counts(self, queue: HotQueue) -> None:
        shop = Shop("one")
        task = queue.task(unique=True)(Shop.price)
        bound = task.__get__(shop)
        bound.delay(1)
        with pytest.raises(DuplicateTask):
            task.__get__(Shop("one")).delay(1)
        task.__get__(Shop("two")).delay(1)

    def test_a_dead_one_is_retried_when_its_key_is_free(self, queue: HotQueue) -> None:
        @queue.task(name="fails", unique="one", max_retries=0)
        def fails() -> None:
            raise ValueError("no")

        known(fails)
        dead = [fails.delay()]
        work(queue)
        dead.append(fails.delay())
        work(queue)
        assert [each.id for each in queue.dead()] == [dead[1].id, dead[0].id]
        assert queue.retry_dead(all=True) == 1
        with pytest.raises(
            DuplicateTask, match=f"task {dead[0].id} stays dead: .* task {dead[1].id}; retry it once that has ended"
        ):
            queue.retry_dead(dead[0])
        with pytest.raises(DuplicateTask):
            fails.delay()
        work(queue)
        assert queue.retry_dead(dead[0]) == 1
        work(queue)
        check_nothing_left(queue)

    def test_all_the_dead_but_those_that_stay_are_retried_however_many_these_are(
        self, queue: HotQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hotqueue.tasks.client.dead.BULK", 10)

        @queue.task(name="dies", unique="{n}")
        def dies(n: int) -> None:
            assert n < 0

        known(dies)
        dies.map(range(21))
        work(queue)
        assert sum(1 for _ in queue.dead()) == 21
        newest = [each.args for each in queue.dead(limit=12)]
        dies.map([int(n) for n in newest])
        assert queue.retry_dead(all=True) == 9

    def test_a_signed_queue_takes_and_shows_them(self, make_queue: Callable[..., HotQueue]) -> None:
        queue = make_queue(secret_key="x" * 32)

        @queue.task(name="signed", unique=True)
        def signed(n: int) -> int:
            return n

        known(signed)
        first = signed.delay(1)
        second = signed.apply_async((1,), on_conflict="replace")
        with pytest.raises(TaskRevoked, match="was replaced by"):
            first.get(timeout=30)
        work(queue)
        assert second.get(timeout=30) == 1

    def test_who_waits_for_one_that_is_replaced_is_told_at_once(self, queue: HotQueue, job: Any) -> None:
        first = job.delay(1)
        seen: list[BaseException] = []

        def wait() -> None:
            try:
                first.get(timeout=30)
            except TaskRevoked as error:
                seen.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: queue._store.client().exists(f"{{hotqueue:{queue.name}}}:waiters"))
        job.apply_async((1,), on_conflict="replace")
        waiting.join(10)
        assert len(seen) == 1


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def price(self, n: int) -> int:
        return n


def job_options(task: Any, **given: Any) -> Any:
    from hotqueue.tasks.rules.options import override

    return override(definition_of(task).options, given, "test")


@pytest.mark.servers("server")
def test_a_template_is_checked_where_it_is_defined(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    with pytest.raises(TypeError, match=r"@queue.task unique= names 'user', which is no argument; did you mean 'user_id'\?"):

        @queue.task(unique="user-{user}")
        def mail(user_id: int) -> None: ...

    @queue.task
    def plain(user_id: int, secret: str = "") -> None: ...

    with pytest.raises(TypeError, match=r"apply_async\(\) unique= names 'usr_id', which is no argument"):
        plain.apply_async((1,), unique="{usr_id}")
    with pytest.raises(TypeError, match="sensitive= hides"):
        plain.apply_async((1,), unique="{secret}", sensitive=True)
