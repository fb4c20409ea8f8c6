"""Inside `queue.testing()` nothing leaves the process, nothing hangs, and what a program calls works as with a store.

Of the kind: every method of a queue, a task, a handle and a set, from sync code, from the test's own event loop and from inside
sync and async tasks; other queues and other queue objects; raw messages; retries, limits, priorities, ids, signatures, code by
value; blocks that are nested, overlap, are decorators or fixtures; handles after the block; chains of tasks; what makes no sense.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait as wait_for_futures
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, QueueFull, ResultTimeout, SerializationError, SignatureError, TaskExpired, TaskRevoked
from hotqueue.runtime import in_place
from hotqueue.tasks import Ignore, Reject, State, UnknownTask, current_task
from hotqueue.tasks.wire import payload
from tests.support.processes import run_python
from tests.support.waiting import allowed, wait_until
from tests.tasks import sample
from tests.tasks.sample import seen

queue = HotQueue("in-place", host="127.0.0.1", port=1)
other = HotQueue("another", host="127.0.0.1", port=1)
variable: ContextVar[str] = ContextVar("variable", default="")


@queue.task
def square(n: int) -> int:
    seen.append(n)
    return n * n


@queue.task
async def asquare(n: int) -> int:
    await asyncio.sleep(0)
    seen.append(n)
    return n * n


@queue.task
async def aparent(n: int, how: str) -> int:
    if how == "adelay":
        return await (await asquare.adelay(n))
    if how == "delay":
        return await asquare.delay(n)
    if how == "sync adelay":
        return await (await square.adelay(n))
    if how == "sync delay":
        return await square.delay(n)
    if how == "map":
        return sum(await asquare.map(range(n)))
    if how == "gather":
        return sum(await asyncio.gather(*[await asquare.adelay(i) for i in range(n)]))
    if how == "nested":
        return await aparent.delay(n, "adelay")
    return asquare.delay(n).get(timeout=5)


@queue.task
def parent(n: int) -> int:
    return square.delay(n).get() + asquare.delay(n).get()


@other.task
def relay(n: int) -> int:
    return square.delay(n).get(timeout=1) + 1


@queue.task
def down(n: int) -> int:
    return 0 if n == 0 else 1 + down.delay(n - 1).get()


@queue.task
def down_without_waiting(n: int) -> None:
    seen.append(n)
    if n:
        down_without_waiting.delay(n - 1)


@queue.task
async def adown(n: int) -> int:
    return 0 if n == 0 else 1 + await (await adown.adelay(n - 1))


@queue.task
async def adown_mixed(n: int) -> int:
    return 0 if n == 0 else 1 + await adown_mixed.delay(n - 1)


@queue.task
def for_ever() -> None:
    for_ever.apply_async(countdown=60)


@queue.task(retries=2, retry_backoff=1000)
def flaky(fails: int) -> int:
    seen.append(current_task.request.retries)
    if current_task.request.retries < fails:
        raise OSError("down")
    return current_task.request.retries


@queue.task(retries=2, retry_backoff=1000)
async def aflaky(fails: int) -> int:
    if current_task.request.retries < fails:
        raise OSError("down")
    return current_task.request.retries


@queue.task(bind=True)
def inner(self: Any) -> tuple[str, str]:
    return self.request.id, variable.get()


@queue.task(bind=True)
async def outer(self: Any) -> list[Any]:
    before = current_task.request.id
    result = await inner.adelay()
    found = await result
    assert (current_task.request.id, self.request.id) == (before, before)
    return [found[0] == result.id, found[1]]


go_on = threading.Event()


@queue.task
def waits() -> str:
    return "went on" if go_on.wait(20) else "in vain"


@queue.task
async def awaits() -> str:
    while not go_on.is_set():
        await asyncio.sleep(0.001)
    return "went on"


@pytest.fixture
def stage() -> Iterator[None]:
    with queue.testing():
        yield


pytestmark = pytest.mark.timeout(30)


# --- nothing leaves --------------------------------------------------------------------------------------------------


def test_no_server_no_connection_no_file(tmp_path: Path) -> None:
    code = """
import asyncio, os, sys
from hotqueue import HotQueue
forbidden = ("socket.connect", "subprocess.Popen", "os.fork", "os.mkdir", "socket.bind")
def hook(event, args):
    if event in forbidden and os.environ.get("ARMED"):
        print("LEFT:", event, args); __import__("traceback").print_stack(); os._exit(9)
sys.addaudithook(hook)
for options in ({"url": "redis://127.0.0.1:1/0"}, {"dbfilename": sys.argv[1]}, {}, {"dbfilename": ":memory:"},
                {"url": "redis+sentinel://127.0.0.1:1/m/0"}, {"url": "redis+cluster://127.0.0.1:1"}):
    queue = HotQueue("q", **options)
    other = HotQueue("other", **options)
    @queue.task(name="add")
    def add(a, b): return a + b
    @queue.task(name="fail")
    def fail(): raise OSError("x")
    @queue.task(name="outer")
    async def outer(n): return await (await add.adelay(n, 1)) + await other.submit(abs, -1)
    async def main():
        r = await outer.adelay(1)
        assert await r == 3
        await queue.aput(1)
        assert await queue.aget() == 1
        assert await queue.aget(block=True, timeout=0.01) is None
        async for m in queue.aconsume(block=False): pass
    with queue.testing():
        asyncio.run(asyncio.sleep(0))  # what a loop itself opens
        os.environ["ARMED"] = "1"
        r = add.delay(1, 2)
        assert (r.get(), queue.result(r.id).get(), queue.result(r.id).state) == (3, 3, "SUCCESS")
        asyncio.run(main())
        dead = fail.delay()
        assert dead.failed() and [d.id for d in queue.dead()] == [dead.id]
        assert queue.retry_dead(dead) == 1 and queue.discard_dead(all=True) == 1
        queue.pause(); waiting = add.delay(1, 1); assert queue.pending() == 1; waiting.revoke(); queue.resume()
        assert (queue.pending(), queue.running(), queue.scheduled(), queue.workers()) == (0, 0, 0, [])
        assert add.map([]).get() == []
        with queue.batch():
            one, two = add.delay(1, 1), add.apply_async((2, 2), queue="other", priority=5, countdown=5, expires=60)
        assert (one.get(), two.get()) == (2, 4)
        assert r.progress is None and r.history == [] and r.traceback is None
        r.forget()
        queue.put(1, 2); assert len(queue) == 2; queue.clear()
        assert queue.get() is None and list(queue.consume(block=False)) == []
        assert queue.run_worker(burst=True) == 0
        queue.close()
    os.environ.pop("ARMED")
print("stayed")
"""
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "HOTQUEUE_URL": ""}
    env.pop("HOTQUEUE_URL")
    assert run_python(code, tmp_path / "no" / "x.rdb", cwd=home, env=env).stdout == "stayed\n"
    assert list(tmp_path.rglob("*")) == [home]


# --- async -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "wanted"), [("adelay", 16), ("delay", 16), ("sync adelay", 16), ("sync delay", 16), ("nested", 16)]
)
@pytest.mark.parametrize("way", ["delay", "adelay"])
@pytest.mark.usefixtures("stage")
def test_an_async_task_sends_and_awaits_tasks(how: str, wanted: int, way: str) -> None:
    async def main() -> int:
        return await (await aparent.adelay(4, how))

    assert (aparent.delay(4, how).get(timeout=5) if way == "delay" else asyncio.run(main())) == wanted


@pytest.mark.usefixtures("stage")
def test_an_async_task_sends_many_and_awaits_them() -> None:
    assert [aparent.delay(4, how).get(timeout=5) for how in ("map", "gather")] == [14, 14]


@pytest.mark.usefixtures("stage")
def test_an_async_task_that_blocks_its_loop_for_another_is_told_what_to_write() -> None:
    with pytest.raises(
        RuntimeError, match=r"get\(\) of task .* blocks the event loop that all async def tasks run on.*await result"
    ):
        aparent.delay(4, "get").get(timeout=5)


@pytest.mark.usefixtures("stage")
def test_the_loop_of_the_test_turns_while_a_task_runs() -> None:
    async def main() -> list[str]:
        found = []
        for task in (waits, awaits):
            go_on.clear()
            asyncio.get_running_loop().call_later(0.01, go_on.set)
            found.append(await (await task.adelay()))
        return found

    assert asyncio.run(main()) == ["went on", "went on"]


@pytest.mark.usefixtures("stage")
def test_what_a_task_sent_and_did_not_await_has_run_when_delay_returns() -> None:
    @queue.task
    async def sends() -> None:
        asquare.delay(3)
        square.delay(4)

    sends.delay()
    assert sorted(seen) == [3, 4]


@pytest.mark.usefixtures("stage")
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


@pytest.mark.usefixtures("stage")
def test_a_task_knows_itself_and_nothing_of_who_sent_it() -> None:
    variable.set("the test's")
    assert inner.delay().get()[1] == ""
    assert outer.delay().get() == [True, ""]
    with pytest.raises(RuntimeError, match="no task is running here"):
        current_task.request  # noqa: B018


@pytest.mark.usefixtures("stage")
def test_a_cancelled_wait_leaves_the_task_alone() -> None:
    go_on.clear()

    async def main() -> int:
        sending = asyncio.create_task(waits.adelay())
        while not queue.running():
            await asyncio.sleep(0.001)
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
queue = HotQueue("q", host="127.0.0.1", port=1)
@queue.task
def slow():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    threading.Event().wait(30)
@queue.task
def outer(): slow.delay()
with queue.testing():
    try:
        outer.delay()
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler, queue.running())
"""
    assert run_python(code, timeout=20).stdout == "interrupted True 0\n"


# --- handles and queues ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stage")
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


@pytest.mark.usefixtures("stage")
def test_progress_is_kept() -> None:
    assert queue.submit(sample.progress, 3).progress == {"done": 3, "total": 10, "message": "on the way"}


@pytest.mark.usefixtures("stage")
def test_sets_answer_too() -> None:
    results = square.map(range(5))
    assert results.get(timeout=1) == [0, 1, 4, 9, 16]
    assert [r.get() for r in results.as_completed(timeout=1)] == [0, 1, 4, 9, 16]
    assert asyncio.run(results.aget()) == [0, 1, 4, 9, 16]
    assert (results.ready(), results.successful(), len(results[1:3])) == (True, True, 2)
    assert wait_for_futures([r.as_future() for r in results], timeout=1).not_done == set()


@pytest.mark.usefixtures("stage")
def test_the_same_id_is_the_same_task() -> None:
    first, again = (square.apply_async((n,), task_id="order") for n in (2, 3))
    assert (first == again, again.get(), seen) == (True, 4, [2])


@pytest.mark.usefixtures("stage")
def test_the_dead_are_listed_run_again_and_thrown_away() -> None:
    failed, rejected = flaky.delay(9), queue.submit(sample.reject, "why")
    assert (failed.state, failed.failed(), failed.retries) == (State.FAILURE, True, 2)
    with pytest.raises(OSError, match="down"):
        failed.get()
    assert "raise OSError" in (failed.traceback or "")
    assert [e["error"] for e in failed.history] == ["OSError: down"] * 3
    newest, oldest = queue.dead()
    assert (oldest.id, oldest.task, oldest.args, oldest.reason) == (failed.id, flaky.name, "9", "OSError: down")
    assert newest.id == rejected.id
    seen.clear()
    assert queue.retry_dead(failed) == 1
    assert seen == [0, 1, 2]
    assert queue.discard_dead(failed.id) == 1
    assert (queue.retry_dead(failed), queue.discard_dead(all=True), list(queue.dead())) == (0, 1, [])


@pytest.mark.usefixtures("stage")
def test_a_paused_queue_keeps_what_it_is_sent_until_it_is_resumed() -> None:
    queue.pause()
    low, high = square.apply_async((1,)), square.apply_async((2,), priority=5)
    later, old = square.apply_async((3,), countdown=60), square.apply_async((4,), expires=0)
    assert (low.state, later.state, old.state) == ("PENDING", "SCHEDULED", "REVOKED")
    assert (queue.pending(), queue.scheduled(), queue.running()) == (3, 1, 0)
    with pytest.raises(ResultTimeout, match=r"no result of task .* is paused, and this is inside queue.testing\(\)"):
        low.get(timeout=0.01)
    with pytest.raises(ResultTimeout, match=r"get\(\) without a timeout would wait for ever"):
        low.get()
    assert (later.revoke(), later.state) == ("revoked", "REVOKED")
    queue.resume()
    assert (low.get(), high.get(), seen, queue.pending()) == (1, 4, [2, 1], 0)
    for ended, error in ((old, TaskExpired), (later, TaskRevoked)):
        with pytest.raises(error):
            ended.get()


@pytest.mark.usefixtures("stage")
def test_many_threads_that_resume_a_queue_run_each_task_once() -> None:
    queue.pause()
    results = square.map(range(200))
    with pytest.raises(ResultTimeout, match="would wait for ever"):
        results.get()
    threads = [threading.Thread(target=queue.resume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (sorted(seen), len(results.get(timeout=5))) == (list(range(200)), 200)


@pytest.mark.usefixtures("stage")
def test_times_are_not_waited_for_and_count_all_the_same() -> None:
    began = time.monotonic()
    when = datetime.now(UTC) + timedelta(hours=1)
    assert queue.task(sample.request).apply_async(eta=when).get()["eta"].replace(microsecond=0) == when.replace(microsecond=0)
    assert flaky.delay(2).get() == aflaky.delay(2).get() == 2
    with pytest.raises(TaskExpired):
        square.apply_async((1,), countdown=60, expires=30).get()
    assert time.monotonic() - began < allowed(5)


@pytest.mark.usefixtures("stage")
def test_other_queues_stay_here_as_well() -> None:
    assert relay.delay(3).get() == 10
    assert square.apply_async((3,), queue="elsewhere").get() == 9
    assert HotQueue("elsewhere", host="127.0.0.1", port=1).result("x").state is State.UNKNOWN
    assert HotQueue("third", dbfilename="/proc/none/x.rdb").submit(abs, -1).get() == 1


@pytest.mark.usefixtures("stage")
def test_a_batch_runs_at_its_end() -> None:
    with queue.batch():
        result = square.delay(3)
        assert (seen, result.state) == ([], State.UNKNOWN)
    assert (result.get(), seen) == (9, [3])

    async def main() -> int:
        async with queue.batch():
            result = await asquare.adelay(4)
        return await result

    assert asyncio.run(main()) == 16


@pytest.mark.usefixtures("stage")
def test_code_by_value_is_the_code_that_is_here() -> None:
    ran, lock = list[int](), threading.Lock()
    queue.submit(lambda: ran.append(1))
    queue.pause()
    for n in range(2):
        queue.submit(lambda n=n: ran.append(n))
    queue.resume()

    @queue.task
    def local() -> None:
        ran.append(9)

    local.delay()
    assert ran == [1, 0, 1, 9]
    with pytest.raises(SerializationError, match="cannot travel"):
        queue.submit(lambda: lock)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, asyncio.CancelledError])
@pytest.mark.usefixtures("stage")
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


@pytest.mark.usefixtures("stage")
def test_reject_ignore_and_misfits_end_as_with_a_worker() -> None:
    def raises(error: BaseException) -> None:
        raise error

    assert queue.submit(raises, Ignore()).get() is None
    assert queue.submit(raises, Reject("no")).state is State.FAILURE


def test_signed_calls_are_signed_here_too() -> None:
    signed = HotQueue("signed", host="127.0.0.1", port=1, secret_key="secret of sixteen bytes at least")
    plain = HotQueue("signed", host="127.0.0.1", port=1)
    with signed.testing():
        result = signed.task(sample.square).delay(3)
        assert signed.result(result.id).get() == 9
        signed._tasks.broker.enqueue([("forged", "", "", square._encode("forged", (1,), {}, square.options, "signed"))])
        with pytest.raises(SignatureError):
            signed.result("forged").get()
        assert plain.result(result.id)._broker.record(result.id) is not None


@pytest.mark.usefixtures("stage")
def test_what_makes_no_sense_here_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"run_worker\(\) would wait for ever inside queue.testing\(\)"):
        queue.run_worker()
    with pytest.raises(RuntimeError, match=r"reap needs a store, and this is inside queue.testing\(\)"):
        queue._tasks.broker.reap("worker")
    inside: list[Any] = []

    @queue.task(bind=True)
    def revokes_itself(self: Any) -> None:
        result = queue.result(self.request.id)
        inside.extend([result.state, result.revoke(), queue.running()])
        result.revoke(terminate=True)

    with pytest.raises(RuntimeError, match="ends the process that runs the task: this one"):
        revokes_itself.delay().get()
    assert inside == ["STARTED", "running, not stopped", 1]


# --- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [down, adown, adown_mixed], ids=lambda task: task.__name__)
@pytest.mark.usefixtures("stage")
def test_tasks_may_send_tasks_200_deep(task: Any) -> None:
    assert task.delay(200).get(timeout=20) == 200


@pytest.mark.usefixtures("stage")
def test_tasks_may_send_tasks_without_waiting_200_deep() -> None:
    down_without_waiting.delay(200)
    assert seen == list(range(200, -1, -1))
    assert parent.delay(3).get() == 18


@pytest.mark.usefixtures("stage")
def test_a_task_that_sends_itself_for_ever_is_an_error() -> None:
    for_ever.delay()
    (dead,) = queue.dead()
    assert dead.error == "RecursionError"
    assert "each sent by the one before: inside queue.testing() a task runs as soon as it is sent" in dead.message


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_blocks_nest_and_overlap_and_the_last_one_closes() -> None:
    first, second = queue.testing(), other.testing()
    first.__enter__()
    result = square.delay(2)
    second.__enter__()
    with queue.testing(), first:
        assert relay.delay(1).get() == 2
    first.__exit__(None, None, None)
    assert (queue.result(result.id).get(), square.delay(3).get()) == (4, 9)
    second.__exit__(None, None, None)
    assert in_place.stage is None


def test_a_block_begins_with_nothing() -> None:
    with queue.testing():
        queue.submit(sample.boom)
        queue.pause()
        queue.put(1)
    with queue.testing():
        assert (list(queue.dead()), square.delay(2).get(), len(queue)) == ([], 4, 0)


def test_handles_answer_after_the_block() -> None:
    with queue.testing():
        done, failed = square.delay(3), queue.submit(sample.boom)
        queue.pause()
        waiting = square.delay(4)
    assert (done.get(), done.state, done.retries, failed.state, failed.ready()) == (9, "SUCCESS", 0, "FAILURE", True)
    with pytest.raises(OSError, match="boom"):
        failed.get()
    with pytest.raises(TaskRevoked, match=r"had not ended when queue.testing\(\) was left"):
        waiting.get()
    assert asyncio.run(done.aget()) == 9


def test_what_runs_when_the_block_is_left_hangs_nobody() -> None:
    go_on.clear()

    async def main() -> list[Any]:
        async with queue.testing():
            sending = [asyncio.create_task(task.adelay()) for task in (awaits, waits)]
            while queue.running() < 2:
                await asyncio.sleep(0.001)
        return await asyncio.gather(*sending)

    for result in asyncio.run(main()):
        with pytest.raises(TaskRevoked):
            result.get(timeout=5)
    go_on.set()


@queue.testing()
def test_as_a_decorator(tmp_path: Path) -> None:
    assert (square.delay(3).get(), tmp_path.is_dir()) == (9, True)


def test_as_a_decorator_of_a_coroutine_function() -> None:
    @queue.testing()
    async def main() -> int:
        return await (await asquare.adelay(3))

    assert asyncio.run(main()) == 9
    assert in_place.stage is None


def test_a_block_left_by_an_error_is_closed() -> None:
    with pytest.raises(ZeroDivisionError), queue.testing():
        1 / 0  # noqa: B018
    assert in_place.stage is None


def test_a_loop_thread_ends_with_its_block() -> None:
    with queue.testing():
        asquare.delay(1)
        assert any(t.name == "hotqueue-event-loop" for t in threading.enumerate())
    assert not any(t.name == "hotqueue-event-loop" for t in threading.enumerate())


@pytest.mark.usefixtures("stage")
def test_threads_may_send_at_once() -> None:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append((n, parent.delay(n).get()))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [(n, 2 * n * n) for n in range(8)]


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """Its copy of the thread that runs `async def` tasks is none, and what another thread held at the fork stays held."""
    code = """
import asyncio, os, signal, threading
from hotqueue import HotQueue
from hotqueue.runtime import in_place
queue = HotQueue("q", host="127.0.0.1", port=1)
@queue.task(name="double")
async def double(n): return 2 * n
async def awaited(): return await (await double.adelay(4))
held, done = threading.Event(), threading.Event()
def hold():
    with in_place.stage._lock:
        held.set(); done.wait()
with queue.testing():
    assert double.delay(2).get() == 4
    holder = threading.Thread(target=hold); holder.start(); held.wait()
    pid = os.fork()
    if not pid:
        signal.alarm(20)  # it hung
        with queue.testing():
            found = (double.delay(3).get(), queue.submit(abs, -1).get(), asyncio.run(awaited()))
        os._exit(0 if found == (6, 1, 8) else 1)
    done.set(); holder.join()
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), double.delay(2).get())
"""
    assert run_python(code).stdout == "0 4\n"


# --- raw messages ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stage")
def test_raw_messages_are_kept_in_memory() -> None:
    queue.put(1, [2], None)
    assert (len(queue), queue.get(), queue.get(block=True), queue.get(), queue.get()) == (3, 1, [2], None, None)
    assert queue.get(block=True, timeout=0.01) is None
    threading.Timer(0.01, lambda: queue.put("late")).start()
    assert queue.get(block=True, timeout=10) == "late"
    with pytest.raises(SerializationError, match="argument 1"):
        queue.put(threading.Lock())
    bounded = HotQueue("bounded", host="127.0.0.1", port=1, max_queue_length=1)
    with pytest.raises(QueueFull, match="holds 0 messages of at most 1: 2 more do not fit"):
        bounded.put(1, 2)


@pytest.mark.usefixtures("stage")
def test_raw_messages_are_consumed_in_memory() -> None:
    queue.put(1, 2, 3)
    for message in queue.consume(block=False):
        assert message == 1
        break
    for message in queue.consume(block=False, ack_on_break=True):
        assert message == 1
        break
    assert list(queue.consume(timeout=0.01)) == [2, 3]

    @queue.worker(block=False)
    def fails(message: int) -> None:
        seen.append(message)
        raise OSError

    queue.put(7)
    for _ in range(5):
        with pytest.raises(OSError):  # noqa: PT011
            fails()
    assert (seen, len(queue)) == ([7] * 5, 0)


@pytest.mark.usefixtures("stage")
def test_raw_messages_in_asyncio() -> None:
    async def main() -> list[Any]:
        await queue.aput(1, 2)
        found = [await queue.aget(), await queue.aget(), await queue.aget(), await queue.aget(block=True, timeout=0.01)]
        waiting = asyncio.create_task(queue.aget(block=True))
        await asyncio.sleep(0)
        queue.put("late")
        found.append(await waiting)
        await queue.aput(3)
        return [*found, *[message async for message in queue.aconsume(block=False)]]

    assert asyncio.run(main()) == [1, 2, None, None, "late", 3]
