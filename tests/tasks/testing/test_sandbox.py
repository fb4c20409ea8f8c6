"""What is open inside `queue.testing()` serves all queues of the process, and leaves nothing running when it is closed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError, SignatureError, TaskRevoked
from hotqueue.tasks import State
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.handle import handle_of
from tests.support.processes import run_python
from tests.support.waiting import await_until
from tests.tasks import sample
from tests.tasks.sample import seen
from tests.tasks.testing.tasks import asquare, awaits, go_on, queue, relay, square, waits

pytestmark = pytest.mark.timeout(30)


@pytest.mark.usefixtures("sandbox")
def test_other_queues_stay_here_as_well() -> None:
    assert relay.delay(3).get() == 10
    assert square.apply_async((3,), queue="elsewhere").get() == 9
    assert HotQueue("elsewhere", host="127.0.0.1", port=1).result("x").state is State.UNKNOWN
    assert HotQueue("third", dbfilename="/proc/none/x.rdb").submit(abs, -1).get() == 1


@pytest.mark.usefixtures("sandbox")
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


@pytest.mark.usefixtures("sandbox")
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


def test_signed_calls_are_signed_here_too() -> None:
    signed = HotQueue("signed", host="127.0.0.1", port=1, secret_key="secret of sixteen bytes at least")
    plain = HotQueue("signed", host="127.0.0.1", port=1)
    with signed.testing():
        result = signed.task(sample.square).delay(3)
        assert signed.result(result.id).get() == 9
        made = definition_of(square)
        forged = made.encode("forged", (1,), {}, made.options, "signed")
        signed._tasks.broker.enqueue([Encoded("forged", "", "", forged)])
        with pytest.raises(SignatureError):
            signed.result("forged").get()
        assert handle_of(plain.result(result.id)).broker.record(result.id) is not None


def test_what_runs_when_the_block_is_left_hangs_nobody() -> None:
    go_on.clear()

    async def main() -> list[Any]:
        async with queue.testing():
            sending = [asyncio.create_task(task.adelay()) for task in (awaits, waits)]
            await await_until(lambda: queue.running() == 2)
        return await asyncio.gather(*sending)

    for result in asyncio.run(main()):
        with pytest.raises(TaskRevoked):
            result.get(timeout=30)
    go_on.set()


def test_a_loop_thread_ends_with_its_block() -> None:
    with queue.testing():
        asquare.delay(1)
        assert any(t.name == "hotqueue-event-loop" for t in threading.enumerate())
    assert not any(t.name == "hotqueue-event-loop" for t in threading.enumerate())


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """Its copy of the thread that runs `async def` tasks is none, and what another thread held at the fork stays held."""
    code = """
import asyncio, os, signal, threading
from hotqueue import HotQueue
from hotqueue.runtime import testing_mode
queue = HotQueue("q", host="127.0.0.1", port=1)
@queue.task(name="double")
async def double(n): return 2 * n
async def awaited(): return await (await double.adelay(4))
held, done = threading.Event(), threading.Event()
def hold():
    with testing_mode.sandbox._lock, testing_mode.sandbox._runner._lock:
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
