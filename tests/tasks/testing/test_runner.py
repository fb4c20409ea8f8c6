"""Inside `queue.testing()` tasks run at once, sync and async, from wherever they are sent, and nothing hangs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotqueue import TaskExpired
from hotqueue.tasks import Ignore, Reject, State, current_task
from tests.support.processes import run_python
from tests.support.waiting import allowed, await_until, wait_until
from tests.tasks import sample
from tests.tasks.sample import seen
from tests.tasks.testing.tasks import (
    adown,
    adown_mixed,
    aflaky,
    aparent,
    asquare,
    awaits,
    down,
    down_without_waiting,
    flaky,
    for_ever,
    go_on,
    inner,
    outer,
    parent,
    queue,
    square,
    variable,
    waits,
)

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("how", "wanted"), [("adelay", 16), ("delay", 16), ("sync adelay", 16), ("sync delay", 16), ("nested", 16)]
)
@pytest.mark.parametrize("way", ["delay", "adelay"])
@pytest.mark.usefixtures("sandbox")
def test_an_async_task_sends_and_awaits_tasks(how: str, wanted: int, way: str) -> None:
    async def main() -> int:
        return await (await aparent.adelay(4, how))

    assert (aparent.delay(4, how).get(timeout=30) if way == "delay" else asyncio.run(main())) == wanted


@pytest.mark.usefixtures("sandbox")
def test_an_async_task_sends_many_and_awaits_them() -> None:
    assert [aparent.delay(4, how).get(timeout=30) for how in ("map", "gather")] == [14, 14]


@pytest.mark.usefixtures("sandbox")
def test_the_loop_of_the_test_turns_while_a_task_runs() -> None:
    async def main() -> list[str]:
        found = []
        for task in (waits, awaits):
            go_on.clear()
            asyncio.get_running_loop().call_later(0.01, go_on.set)
            found.append(await (await task.adelay()))
        return found

    assert asyncio.run(main()) == ["went on", "went on"]


@pytest.mark.usefixtures("sandbox")
def test_what_a_task_sent_and_did_not_await_has_run_when_delay_returns() -> None:
    @queue.task
    async def sends() -> None:
        asquare.delay(3)
        square.delay(4)

    sends.delay()
    assert sorted(seen) == [3, 4]


@pytest.mark.usefixtures("sandbox")
def test_sync_tasks_find_no_loop_around_them_and_async_ones_one_that_is_theirs() -> None:
    @queue.task
    def runs_a_loop() -> int:
        return asyncio.run(asyncio.sleep(0, 7))

    @queue.task
    async def loop_id() -> int:
        return id(asyncio.get_running_loop())

    async def main() -> set[int]:
        assert runs_a_loop.delay().get() == 7
        assert await (await runs_a_loop.adelay()) == 7
        return {id(asyncio.get_running_loop()), await (await loop_id.adelay()), loop_id.delay().get()}

    assert len(asyncio.run(main())) == 2


@pytest.mark.usefixtures("sandbox")
def test_a_task_knows_itself_and_nothing_of_who_sent_it() -> None:
    variable.set("the test's")
    assert inner.delay().get()[1] == ""
    assert outer.delay().get() == [True, ""]
    with pytest.raises(RuntimeError, match="no task is running here"):
        current_task.request  # noqa: B018


@pytest.mark.usefixtures("sandbox")
def test_a_cancelled_wait_leaves_the_task_alone() -> None:
    go_on.clear()

    async def main() -> int:
        sending = asyncio.create_task(waits.adelay())
        await await_until(queue.running)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        return queue.running()

    assert asyncio.run(main()) == 1
    go_on.set()
    wait_until(lambda: queue.running() == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_is_the_programs_and_no_failure_of_the_task() -> None:
    code = """
import os, signal, threading
from hotqueue import HotQueue
from tests.support.durations import take_time
queue = HotQueue("q", host="127.0.0.1", port=1)
@queue.task
def slow():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    take_time(30)
@queue.task
def outer(): slow.delay()
with queue.testing():
    try:
        outer.delay()
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler, queue.running())
"""
    assert run_python(code, timeout=20).stdout == "interrupted True 0\n"


@pytest.mark.usefixtures("sandbox")
def test_times_are_not_waited_for_and_count_all_the_same() -> None:
    began = time.monotonic()
    when = datetime.now(UTC) + timedelta(hours=1)
    assert queue.task(sample.request).apply_async(eta=when).get()["eta"].replace(microsecond=0) == when.replace(microsecond=0)
    assert flaky.delay(2).get() == aflaky.delay(2).get() == 2
    with pytest.raises(TaskExpired):
        square.apply_async((1,), countdown=60, expires=30).get()
    assert time.monotonic() - began < allowed(5)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, asyncio.CancelledError])
@pytest.mark.usefixtures("sandbox")
def test_whatever_a_task_raises_comes_out_of_get_alone(kind: type[BaseException]) -> None:
    def raises() -> None:
        raise kind("no")

    async def araises() -> None:
        raise kind("no")

    for function in (raises, araises):
        result = queue.task(function).delay()
        assert result.state is State.FAILURE
        with pytest.raises(BaseException, match="no"):
            result.get()


@pytest.mark.usefixtures("sandbox")
def test_reject_ignore_and_misfits_end_as_with_a_worker() -> None:
    def raises(error: BaseException) -> None:
        raise error

    assert queue.submit(raises, Ignore()).get() is None
    assert queue.submit(raises, Reject("no")).state is State.FAILURE


@pytest.mark.parametrize("task", [down, adown, adown_mixed], ids=lambda task: task.__name__)
@pytest.mark.usefixtures("sandbox")
def test_tasks_may_send_tasks_200_deep(task: Any) -> None:
    assert task.delay(200).get(timeout=30) == 200


@pytest.mark.usefixtures("sandbox")
def test_tasks_may_send_tasks_without_waiting_200_deep() -> None:
    down_without_waiting.delay(200)
    assert seen == list(range(200, -1, -1))
    assert parent.delay(3).get() == 18


@pytest.mark.usefixtures("sandbox")
def test_a_task_that_sends_itself_for_ever_is_an_error() -> None:
    for_ever.delay()
    (dead,) = queue.dead()
    assert dead.error == "RecursionError"
    assert "each sent by the one before: inside queue.testing() a task runs as soon as it is sent" in dead.message


@pytest.mark.usefixtures("sandbox")
def test_threads_may_send_at_once() -> None:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append((n, parent.delay(n).get()))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [(n, 2 * n * n) for n in range(8)]
