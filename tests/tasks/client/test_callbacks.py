"""Callbacks of futures: they may wait for other results, sleep, block for ever, or raise, and nobody else is held up.

Of the kind: `as_future()` alone, among many, in an event loop; a callback that needs what its own thread would have to read; one
that is there already when the task has ended; futures that nobody holds on to any more, or that asyncio cancelled.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures

import pytest

from hotqueue.tasks import AsyncResult
from hotqueue.tasks.client.callbacks import Callers
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.wire.payload import dumps
from hotqueue.tasks.wire.record import encode
from tests.support.waiting import allowed, wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def replies(room: Room) -> Replies:
    return room.queue._tasks.replies(room.queue.name)


def sent(room: Room, *ids: str) -> list[AsyncResult[int]]:
    """Have tasks wait in the queue."""
    room.fill({"tasks": dict.fromkeys(ids, sync()), "ready": dict.fromkeys(ids, 1)})
    return [room.queue.result(task_id) for task_id in ids]


def finish(room: Room, *ids: str) -> None:
    """End waiting tasks; the value of each is 7."""
    from hotqueue.tasks.rules.lifecycle import State

    for task_id in ids:
        blob = encode(State.SUCCESS, 0, 1, dumps(7), task_id, None)
        assert room.broker.revoke(task_id, blob, 60_000) == "revoked"


def test_a_callback_may_wait_for_another_result(room: Room) -> None:
    first, second, third = sent(room, "a", "b", "c")
    found: list[int] = []
    first.as_future().add_done_callback(lambda _: found.append(second.get(timeout=30)))
    waiting = third.as_future()
    finish(room, "a")
    wait_until(lambda: second.id in room["waiters"])
    finish(room, "c")
    assert waiting.result(5) == 7  # beside the callback that waits
    assert found == []
    finish(room, "b")
    wait_until(lambda: found == [7])


def test_callbacks_that_block_for_ever_hold_up_nobody(room: Room) -> None:
    names = [f"t{n}" for n in range(6)]
    results, after = sent(room, *names, "after", "got"), threading.Event()
    for result in results[:6]:
        result.as_future().add_done_callback(lambda _: after.wait(60))
    last, got = results[6].as_future(), results[7]
    began = time.monotonic()
    finish(room, *names, "after")
    assert last.result(30) == 7
    finish(room, "got")
    assert got.get(timeout=30) == 7
    assert time.monotonic() - began < allowed(2)
    after.set()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    room: Room, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    first, second = sent(room, "a", "b")
    called: list[str] = []

    def fails(_: Future[int]) -> None:
        raise error("of the callback")

    future = first.as_future()
    future.add_done_callback(fails)
    future.add_done_callback(lambda _: called.append("a"))
    second.as_future().add_done_callback(lambda _: called.append("b"))
    finish(room, "a", "b")
    wait_until(lambda: "b" in called)
    if issubclass(error, Exception):  # at what is none, concurrent.futures itself stops
        wait_until(lambda: "a" in called)
    wait_until(lambda: any("callback" in line.message and line.exc_info for line in caplog.records))


def test_callbacks_of_a_loop(room: Room) -> None:
    first, second = sent(room, "a", "b")

    async def main() -> list[int]:
        futures = [asyncio.wrap_future(result.as_future()) for result in (first, second)]
        futures[0].add_done_callback(lambda _: finish(room, "b"))
        await asyncio.to_thread(finish, room, "a")
        return await asyncio.gather(*futures)

    assert asyncio.run(main()) == [7, 7]


def test_a_future_whose_task_has_ended_is_done(room: Room) -> None:
    (result,) = sent(room, "a")
    finish(room, "a")
    assert result.get(timeout=30) == 7
    called: list[int] = []
    result.as_future().add_done_callback(lambda future: called.append(future.result(0)))
    assert called == [7]


def test_many_futures_are_done_in_little_time(room: Room) -> None:
    names = [f"t{n}" for n in range(1000)]
    futures = [result.as_future() for result in sent(room, *names)]
    finish(room, *names)
    assert wait_for_futures(futures, timeout=30).not_done == set()
    assert len([t for t in threading.enumerate() if t.name == "hotqueue-callbacks"]) < 10


# --- futures that nobody waits for any more ------------------------------------------------------------------------------


def test_a_future_that_was_dropped_is_forgotten(room: Room, replies: Replies) -> None:
    first, second = sent(room, "a", "b")
    future, other = first.as_future(), first.as_future()
    second.as_future()
    gc.collect()
    assert list(replies._watches.tasks) == ["a"]
    del future
    assert list(replies._watches.tasks) == ["a"]  # somebody else waits for it
    finish(room, "a")
    assert other.result(10) == 7
    assert not replies._watches.has_callbacks


def test_one_with_a_callback_is_not(room: Room, replies: Replies) -> None:
    (result,) = sent(room, "a")
    called: list[int] = []
    result.as_future().add_done_callback(lambda future: called.append(future.result(0)))
    gc.collect()
    finish(room, "a")
    wait_until(lambda: called == [7])
    assert not replies._watches.has_callbacks


def test_one_that_asyncio_made_and_cancelled_is(room: Room, replies: Replies) -> None:
    (result,) = sent(room, "a")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(result.as_future()), 0.05)

    asyncio.run(main())
    gc.collect()
    assert not replies._watches.has_callbacks
    assert room.broker.look("a").where == "ready"


def test_in_a_forked_process_futures_are_completed_by_threads_of_its_own(room: Room) -> None:
    before, after = sent(room, "a", "b")
    parents = before.as_future()
    finish(room, "a")
    assert parents.result(10) == 7  # so the parent has a thread, which the child has not
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            future = room.queue.result(after.id).as_future()
            finish(room, "b")
            os.write(write, repr(future.result(10)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"7"
    os.waitpid(pid, 0)


# --- the threads ---------------------------------------------------------------------------------------------------------


def called_in(threads: Callers, *functions: Callable[[], object]) -> None:
    for function in functions:
        threads.call(function)


def test_calls_are_made_in_order_by_one_thread_where_none_drags() -> None:
    made, threads = list[int](), set[int]()

    def note(n: int) -> Callable[[], object]:
        return lambda: (made.append(n), threads.add(threading.get_ident()))

    called_in(Callers(), *(note(n) for n in range(200)))
    wait_until(lambda: len(made) == 200)
    assert made == list(range(200)) or len(threads) > 1  # on a machine so loaded that one dragged


def test_an_idle_thread_ends_and_another_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.tasks.client.callbacks.IDLE", 0.01)
    callers, called = Callers(), threading.Event()
    for _ in range(3):
        callers.call(called.set)
        assert called.wait(10)
        called.clear()
        wait_until(lambda: callers._threads == 0)
