"""How `queue.testing()` is opened and closed: nothing leaves the process, blocks nest, overlap and are decorators.

Of the kind of all tests in this folder: every method of a queue, a task, a handle and a set, from sync code, from the test's own
event loop and from inside sync and async tasks; other queues and other queue objects; raw messages; retries, limits, priorities,
ids, signatures, code by value; blocks that are nested, overlap, are decorators or fixtures; handles after the block; chains of
tasks; what makes no sense.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hotqueue import TaskRevoked
from hotqueue.runtime import testing_mode
from tests.support.processes import run_python
from tests.tasks import sample
from tests.tasks.testing.tasks import asquare, other, queue, relay, square

pytestmark = pytest.mark.timeout(30)


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
    assert testing_mode.sandbox is None


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


@queue.testing()
def test_as_a_decorator(tmp_path: Path) -> None:
    assert (square.delay(3).get(), tmp_path.is_dir()) == (9, True)


def test_as_a_decorator_of_a_coroutine_function() -> None:
    @queue.testing()
    async def main() -> int:
        return await (await asquare.adelay(3))

    assert asyncio.run(main()) == 9
    assert testing_mode.sandbox is None


def test_a_block_left_by_an_error_is_closed() -> None:
    with pytest.raises(ZeroDivisionError), queue.testing():
        1 / 0  # noqa: B018
    assert testing_mode.sandbox is None
