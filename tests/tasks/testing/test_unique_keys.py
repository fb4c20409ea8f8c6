"""Unique tasks in `queue.testing()`: as on a server; of this kind: sent from inside, while paused, in each way of conflict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hotqueue import DuplicateTask, HotQueue, ResultTimeout
from hotqueue.tasks import State, current_task


@pytest.fixture
def queue() -> HotQueue:
    return HotQueue("unique-testing", url="redis://127.0.0.1:1")


def test_one_that_sends_itself_again_meets_itself(queue: HotQueue) -> None:
    seen = []

    @queue.task(unique="{n}")
    def again(n: int) -> str:
        try:
            again.delay(n)
        except DuplicateTask as error:
            seen.append(error.task_id)
        return again.apply_async((n,), on_conflict="ignore").id

    with queue.testing():
        result = again.delay(1)
        assert result.get() == result.id
        assert seen == [result.id]
        assert again.delay(1).get() != result.id  # it has ended


def test_while_paused_the_second_is_refused_ignored_or_replaces(queue: HotQueue) -> None:
    @queue.task(unique=True)
    def job(n: int) -> int:
        return n

    with queue.testing():
        queue.pause()
        first = job.delay(1)
        with pytest.raises(DuplicateTask, match=r"task .*job with the same arguments is there already"):
            job.delay(1.0)  # type: ignore[arg-type]
        with pytest.raises(DuplicateTask, match=r"item 1 of map\(\)"):
            job.map([2, 1])
        assert job.apply_async((1,), on_conflict="ignore") == first
        second = job.apply_async((1,), on_conflict="replace")
        assert (first.state, second.state, queue.pending()) == (State.REVOKED, State.PENDING, 1)
        queue.resume()
        assert second.get() == 1


def test_one_that_replaces_what_runs_runs_after_it_and_a_third_takes_its_place(queue: HotQueue) -> None:
    order: list[Any] = []

    @queue.task(unique="one", on_conflict="replace")
    def job(n: int) -> None:
        order.append(n)
        if n == 1:
            order.extend([job.delay(2), job.delay(3)])
            with pytest.raises(ResultTimeout, match="waits for that to end"):
                order[-1].get()
            assert order[-1].why().behind == job.apply_async((4,), on_conflict="ignore").id == current_task.request.id
            order.append("end")

    with queue.testing():
        job.delay(1)
    assert (order[0], order[3:]) == (1, ["end", 3])
    assert (order[1].state, order[2].state) == (State.REVOKED, State.SUCCESS)


def test_until_it_started(queue: HotQueue) -> None:
    order = []

    @queue.task(unique="one", unique_until="started")
    def job(n: int) -> None:
        if n < 3:
            job.delay(n + 1)
        order.append(n)

    with queue.testing():
        job.delay(1)
    assert order == [3, 2, 1]


def test_a_dead_one_stays_while_another_is_there(queue: HotQueue) -> None:
    @queue.task(unique="one")
    def job(fails: bool) -> None:
        assert not fails

    with queue.testing():
        dead = job.delay(True)
        queue.pause()
        live = job.delay(False)
        with pytest.raises(DuplicateTask, match=f"task {dead.id} stays dead.*task {live.id}"):
            queue.retry_dead(dead)
        assert queue.retry_dead(all=True) == 0
        live.revoke()
        assert queue.retry_dead(all=True) == 1
        with pytest.raises(DuplicateTask):
            job.delay(False)


def test_in_asyncio(queue: HotQueue) -> None:
    @queue.task(unique="one", on_conflict="ignore")
    async def job(n: int) -> int:
        return n

    async def main() -> None:
        queue.pause()
        first, second = await job.adelay(1), await job.adelay(2)
        assert first == second
        queue.resume()
        assert await second == 1

    with queue.testing():
        asyncio.run(main())
