"""Handles and sets of handles inside `queue.testing()` answer all that they are asked, and no wait hangs."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import wait as wait_for_futures
from datetime import UTC, datetime, timedelta

import pytest

from hotqueue.tasks import State, UnknownTask
from hotqueue.tasks.wire import payload
from tests.tasks import sample
from tests.tasks.testing.tasks import aparent, flaky, queue, square

pytestmark = pytest.mark.timeout(30)


@pytest.mark.usefixtures("sandbox")
def test_a_handle_answers_all_it_is_asked() -> None:
    result = flaky.delay(1)
    again = queue.result(result.id)
    for handle in (result, again, pickle.loads(payload.dumps(result))):
        assert handle == result
        assert (handle.get(), handle.get(timeout=1), handle.state, handle.status, handle.result) == (
            1,
            1,
            "SUCCESS",
            "SUCCESS",
            1,
        )
        assert (handle.ready(), handle.successful(), handle.failed(), handle.retries) == (True, True, False, 1)
        assert abs((handle.date_done or datetime.min.replace(tzinfo=UTC)) - datetime.now(UTC)) < timedelta(minutes=1)
        assert (handle.traceback, handle.progress, handle.revoke()) == (None, None, "finished or unknown")
        assert handle.as_future().result(timeout=1) == 1
        assert asyncio.run(handle.aget(timeout=1)) == 1
    result.forget()
    with pytest.raises(UnknownTask):
        queue.result(result.id).get()
    assert queue.result("never").state is State.UNKNOWN
    assert queue.submit(sample.ignore).get() is None
    assert queue.task(ignore_result=True)(sample.square).delay(3).get() is None


@pytest.mark.usefixtures("sandbox")
def test_progress_is_kept() -> None:
    assert queue.submit(sample.progress, 3).progress == {"done": 3, "total": 10, "message": "on the way"}


@pytest.mark.usefixtures("sandbox")
def test_sets_answer_too() -> None:
    results = square.map(range(5))
    assert results.get(timeout=1) == [0, 1, 4, 9, 16]
    assert [r.get() for r in results.as_completed(timeout=1)] == [0, 1, 4, 9, 16]
    assert asyncio.run(results.aget()) == [0, 1, 4, 9, 16]
    assert (results.ready(), results.successful(), len(results[1:3])) == (True, True, 2)
    assert wait_for_futures([r.as_future() for r in results], timeout=1).not_done == set()


@pytest.mark.usefixtures("sandbox")
def test_an_async_task_that_blocks_its_loop_for_another_is_told_what_to_write() -> None:
    with pytest.raises(
        RuntimeError, match=r"get\(\) of task .* blocks the event loop that all async def tasks run on.*await result"
    ):
        aparent.delay(4, "get").get(timeout=30)
