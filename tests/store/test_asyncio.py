"""Event loops that come and go, one after another or side by side: what belongs to one is closed with it.

The kind: `asyncio.run` in a loop, a framework's loop for each test or request, loops closed by hand, loops in threads, a
queue closed from outside of its loops, a fork under a loop; every asyncio call; and the program's end. Of each: no socket
stays open, no warning, no error of another loop. Descriptors are counted in a process of its own.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.processes import run_python

ROUNDS = 40

HEAD = """
import asyncio, gc, os, sys, threading, unittest, warnings
from hotqueue import HotQueue
from hotqueue.errors import HotQueueError, ResultTimeout
from tests.support.durations import atake_time
from tests.support.waiting import await_until
import logging
logging.getLogger("asyncio").setLevel(logging.ERROR)  # a machine that is loaded
queue = HotQueue(sys.argv[2], url=sys.argv[1])
queue.put(0)
queue.clear()

@queue.task
def task(): pass

def sockets():
    return sum(os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") for fd in os.listdir("/proc/self/fd")
               if os.path.islink(f"/proc/self/fd/{fd}"))

async def nothing_comes():
    async for message in queue.aconsume(timeout=0.01):
        pass

kept = []
async def left_open():
    queue.put(1)
    kept.append(queue.aconsume())
    async for message in kept[-1]:
        break  # the generator is left to the loop's end

async def delayed():
    result = await task.adelay()
    try:
        await result.aget(timeout=0.01)
    except ResultTimeout:
        pass
    result.revoke()

async def one():
    await queue.aput(1)
    await queue.aget()

async def many():
    await asyncio.gather(*(queue.aput(n) for n in range(5)))
    await asyncio.gather(*(queue.aget() for n in range(5)))

def by_hand(coroutine):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(coroutine)
    loop.close()

async def wait_for_ever():
    await queue.aget(block=True)

async def until_it_waits():
    mine = queue._store.async_exchange.loops.clients
    await await_until(lambda: any(lock.locked() for client in list(mine.values()) for lock in client.lines.values()))
    await await_until(lambda: b"blocked_clients:1" in queue._store.command("", "INFO", "clients"))

def left_waiting(_coroutine=None):
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(wait_for_ever())
    loop.run_until_complete(until_it_waits())
    loop.close()
    loop.call_exception_handler = lambda context: None  # asyncio tells of a task that was destroyed
"""
TAIL = """
gc.collect()
print(sockets())
"""


def in_rounds(body: str, store_url: str, queue_name: str) -> int:
    """Run `body` many times over in a process of its own; return how many sockets it has open afterwards."""
    code = f"{HEAD}\ndef body():\n{_indented(body)}\n\nfor _ in range({ROUNDS}):\n    body()\n{TAIL}"
    done = run_python(code, store_url, queue_name, env={"PYTHONWARNINGS": "error"}, timeout=100)
    assert done.stderr == ""
    return int(done.stdout.split()[-1])


def _indented(body: str) -> str:
    return "\n".join("    " + line for line in dedent(body).strip().splitlines())


BODIES = {
    "aput": "asyncio.run(queue.aput(1)); queue.clear()",
    "aget": "asyncio.run(queue.aget())",
    "a get that waits": "asyncio.run(queue.aget(block=True, timeout=0.01))",
    "adelay and aget": "asyncio.run(delayed())",
    "aconsume": "asyncio.run(nothing_comes())",
    "aconsume, left": "asyncio.run(left_open()); queue.clear()",
    "many at once": "asyncio.run(many())",
    "a loop closed by hand": "by_hand(many())",
    "a loop closed in the middle of a wait": "left_waiting()",
    "a test of unittest": """
        class Test(unittest.IsolatedAsyncioTestCase):
            async def test(self):
                await many()
        assert unittest.TestResult() and Test("test").run().wasSuccessful()
    """,
    "a loop in a thread": """
        thread = threading.Thread(target=asyncio.run, args=(many(),))
        thread.start(); thread.join()
    """,
    "a queue made in each": """
        async def main():
            async with HotQueue(sys.argv[2], url=sys.argv[1]) as mine:
                await mine.aput(1)
                await mine.aget()
        asyncio.run(main())
    """,
    "a queue that is only dropped": """
        async def main():
            mine = HotQueue(sys.argv[2], url=sys.argv[1])
            await mine.aput(1)
            await mine.aget()
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.servers("embedded")
def test_nothing_of_a_loop_that_has_ended_stays_open(name: str, store_url: str, queue_name: str) -> None:
    assert in_rounds(BODIES[name], store_url, queue_name) < 12


@pytest.mark.parametrize("body", ["asyncio.run(one())", "by_hand(one())"])
@pytest.mark.servers("cluster", "sentinel")
def test_nor_does_it_of_several_servers(body: str, store_url: str, queue_name: str) -> None:
    assert in_rounds(body, store_url, queue_name) < 20


@pytest.mark.parametrize("module", ["uvloop", "anyio", "asgiref"])
@pytest.mark.servers("embedded")
def test_neither_does_it_in_other_loops_and_frameworks(module: str, store_url: str, queue_name: str) -> None:
    if not importlib.util.find_spec(module):
        pytest.skip(f"{module} is not installed")
    bodies = {
        "uvloop": "import uvloop; uvloop.run(many())",
        "anyio": "import anyio; anyio.run(many)",
        "asgiref": "from asgiref.sync import async_to_sync; async_to_sync(many)()",
    }
    assert in_rounds(bodies[module], store_url, queue_name) < 12


def run(code: str, store_url: str, queue_name: str) -> str:
    """Run code with every warning an error; return what it printed."""
    done = run_python(HEAD + dedent(code), store_url, queue_name, env={"PYTHONWARNINGS": "error"})
    assert done.stderr == ""
    return done.stdout


@pytest.mark.servers("embedded")
def test_a_loop_that_is_only_not_running_keeps_its_connection(store_url: str, queue_name: str) -> None:
    code = """
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.aput(1))
    [one] = queue._store.async_exchange.loops.clients[loop]._open
    asyncio.run(queue.aget())  # another loop comes and goes
    loop.run_until_complete(queue.aput(2))
    assert queue._store.async_exchange.loops.clients[loop]._open == {one}
    loop.close()
    """
    run(code, store_url, queue_name)


@pytest.mark.servers("embedded")
def test_loops_side_by_side_keep_their_own(store_url: str, queue_name: str) -> None:
    code = """
    async def work():
        for n in range(200):
            await queue.aput(n)
            await queue.aget()
    failed = []
    threading.excepthook = failed.append
    def loops():
        for _ in range(3):
            asyncio.run(work())
    threads = [threading.Thread(target=loops) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failed, failed
    queue.close()
    gc.collect()
    print(sockets())
    """
    assert int(run(code, store_url, queue_name)) == 0


@pytest.mark.servers("embedded")
def test_close_closes_what_all_loops_have_and_they_may_go_on(store_url: str, queue_name: str) -> None:
    code = """
    async def main():
        await queue.aput(1)
        assert sockets() >= 1
        queue.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left = [client for client in queue._store.async_exchange.loops.clients.values() if client._open]
        assert not left, left
        assert await queue.aget() == 1
    asyncio.run(main())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(queue.aput(1))
    loop.close()
    queue.close()
    gc.collect()
    print(sockets())
    """
    assert int(run(code, store_url, queue_name).split()[-1]) <= 1


@pytest.mark.servers("embedded")
def test_what_is_sent_in_the_last_moment_of_a_loop_is_sent_and_closed(store_url: str, queue_name: str) -> None:
    code = """
    async def at_the_end():
        try:
            yield
        finally:
            await atake_time(0.05)  # after the connections were closed
            await queue.aput("bye")
    kept = []
    async def main():
        kept.append(at_the_end())
        await anext(kept[0])
        await queue.aput("first")
    asyncio.run(main())
    assert (queue.get(), queue.get()) == ("first", "bye")
    assert not any(client._open for client in queue._store.async_exchange.loops.clients.values())
    """
    run(code, store_url, queue_name)


@pytest.mark.servers("embedded")
def test_a_fork_under_a_loop_takes_nothing_from_the_parent(store_url: str, queue_name: str) -> None:
    code = """
    async def main():
        for n in range(20):
            await queue.aput(n)
            if (pid := os.fork()) == 0:
                try:
                    queue._store.pool.check_process()
                    gc.collect()
                    queue.put("child")
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            await asyncio.wait_for(queue.aget(), 2)
            await asyncio.wait_for(queue.aget(), 2)
    asyncio.run(main())
    """
    run(code, store_url, queue_name)


def test_too_many_open_files_are_called_that(store_url: str, queue_name: str, tmp_path: Path) -> None:
    code = """
    import resource
    import redis.asyncio
    queue.close()
    queue = HotQueue(sys.argv[2], url=sys.argv[1], patience=1)
    queue.put(0)
    queue.clear()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    held = []
    def fill():
        while True:
            try:
                held.append(os.dup(0))
            except OSError:
                return
    def free():
        while held:
            os.close(held.pop())
    async def aput():
        fill()
        await queue.aput(1)
    for put in (lambda: queue.put(1), lambda: asyncio.run(aput())):
        queue.close()
        loop_first = asyncio.run(asyncio.sleep(0))
        if put.__code__.co_names[0] == "queue":
            fill()
        try:
            put()
        except HotQueueError as error:
            free()
            assert "this process has too many open files (limit 64: ulimit -n)" in str(error), error
            assert not error.sent and error.retry, error
        else:
            raise AssertionError("it had a descriptor left")
    queue.put("and then it works")
    assert queue.get() == "and then it works"
    """
    run(code, store_url, queue_name)
