"""Watching a task: its progress as it changes, the last one in any case, and an end when the task ends, however it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.tasks import current_task
from tests.support.waiting import await_until, wait_until
from tests.tasks import sample
from tests.tasks.working import in_background, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def steps() -> str:
    """Report one step, and the next once the test has seen it."""
    for n in (1, 2, 3):
        current_task.update_progress(n, 3)
        while n not in sample.seen and n < 3:
            sample.go_on.wait(0.005)
    return "done"


async def asteps() -> str:
    for n in (1, 2, 3):
        current_task.update_progress(n, 3)
        await await_until(lambda n=n: n in sample.seen or n == 3)  # type: ignore[misc]
    return "done"


@pytest.mark.parametrize("function", [steps, asteps])
def test_each_change_is_seen_and_the_end(make_queue: MakeQueue, function: Any) -> None:
    queue = make_queue()
    result = queue.task(name="steps")(function).delay()
    worker = in_background(queue)
    for progress in result.watch(timeout=30):
        sample.seen.append(progress["done"])
    worker.join()
    assert sample.seen == [1, 2, 3]
    assert result.get(timeout=30) == "done"
    assert [each["done"] for each in result.watch(timeout=30)] == [3]


@only_server
def test_in_asyncio(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="steps")(steps)

    async def main() -> None:
        result = await task.adelay()
        worker = in_background(queue)
        async for progress in result.awatch(timeout=30):
            sample.seen.append(progress["done"])
        await asyncio.to_thread(worker.join)
        unstarted = await task.adelay()
        with pytest.raises(ResultTimeout, match=r"within 0\.01 s"):
            await anext(aiter(unstarted.awatch(timeout=0.01)))
        unstarted.revoke()
        assert [each async for each in unstarted.awatch()] == []
        await queue.aclose()

    asyncio.run(main())
    assert sample.seen == [1, 2, 3]


@only_server
def test_it_ends_with_a_task_that_fails_is_revoked_or_unknown(make_queue: MakeQueue) -> None:
    queue = make_queue()

    def fails() -> None:
        current_task.update_progress(1)
        current_task.update_progress(2)
        raise OSError("no")

    failed, revoked = queue.task(name="fails")(fails).delay(), queue.task(name="steps")(steps).apply_async(countdown=600)
    work(queue)
    threading.Timer(0.1, revoked.revoke).start()
    assert [each["done"] for each in failed.watch()] == [2]
    assert list(revoked.watch()) == []
    assert list(queue.result("unknown").watch()) == []
    queue.discard_dead(all=True)


@only_server
def test_who_waits_no_longer_is_forgotten(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="steps")(steps).delay()
    with pytest.raises(ResultTimeout, match=r"within 0\.02 s"):
        next(result.watch(timeout=0.02))
    with pytest.raises(TypeError, match=r"watch\(timeout=\) takes seconds"):
        result.watch(timeout="5")  # type: ignore[arg-type]
    watcher = result.watch()
    worker = in_background(queue)
    sample.seen.append(next(watcher)["done"])
    del watcher
    wait_until(lambda: not result._handle.replies._watches.tasks)
    sample.seen += [2]
    worker.join()


def test_inside_testing() -> None:
    queue = HotQueue("watching", host="127.0.0.1", port=1)
    sample.seen += [1, 2]
    with queue.testing():
        result = queue.task(name="steps")(steps).delay()
        assert [each["done"] for each in result.watch()] == [3]
