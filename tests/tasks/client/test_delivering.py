"""What lies unread in a reply list, and is of a task's former life: whoever asks again is told of the present one.

A task's end may be sent once for each time that it was asked about, and is read once. Of this kind is all that is sent
and not read: to who gave up waiting (`get(timeout=…)`, a coroutine that was cancelled, `as_completed` that was left), to
who asked twice (after a second, after an outage), and to who asked before the task was there. Whoever asks for the same
id next finds it, and the task may have been put back from the dead list, or be sent anew, meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ResultTimeout, UnknownTask
from hotqueue.tasks.client import waiters
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.replies import Replies
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, sync


@pytest.fixture
def replies(room: Room) -> Replies:
    return Replies(room.broker, lambda _id, _late: None)


def begin(room: Room, task_id: str) -> None:
    """Have a task wait, as it does once it was retried."""
    room.client.delete(f"{room.prefix}result:{task_id}")
    room.fill({"tasks": {task_id: sync()}, "ready": {task_id: 1}})


def end(room: Room, task_id: str, blob: bytes) -> None:
    """End a task that waits, as far as its waiters see."""
    assert room.broker.revoke(task_id, blob, 60_000) == "revoked"


def unread(room: Room, replies: Replies) -> int:
    """Return how many answers lie in the list."""
    return int(room.client.llen(f"{room.prefix}reply:{replies._client}"))


def is_told_of_the_new_end(room: Room, replies: Replies) -> None:
    """See that a task whose old end lies in the list has its new one waited for."""
    begin(room, "t")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(replies.wait(["t"], 20)))
    thread.start()
    wait_until(lambda: room["waiters"] and not unread(room, replies), what="it waits, and has read what lay there")
    assert found == []
    end(room, "t", b"new")
    thread.join()
    assert found == [{"t": Answer("R", b"new")}]


@pytest.mark.servers("server")
def test_of_one_that_was_given_up(room: Room, replies: Replies) -> None:
    begin(room, "t")
    assert replies.wait(["t"], 0.05) == {}
    end(room, "t", b"old")
    is_told_of_the_new_end(room, replies)


@pytest.mark.servers("server")
def test_of_one_that_ended_while_it_was_asked_about_again(room: Room, replies: Replies, monkeypatch: pytest.MonkeyPatch) -> None:
    """A BLPOP runs out, the task ends, and only then is the server asked once more: it answers a second time."""
    monkeypatch.setattr(waiters, "FIRST", 0.1)
    begin(room, "t")
    connection, reads = replies._connection, list[object]()
    read = connection.read

    def read_and_end(*args: Any) -> Any:
        found = read(*args)
        reads.append(found)
        if len(reads) == 2:
            end(room, "t", b"old")
        return found

    monkeypatch.setattr("hotqueue.tasks.client.replies.SLICE", 0.2)
    monkeypatch.setattr(connection, "read", read_and_end)
    assert replies.wait(["t"], 10) == {"t": Answer("R", b"old")}
    assert unread(room, replies) == 1
    is_told_of_the_new_end(room, replies)


@pytest.mark.servers("server")
def test_of_one_that_ended_twice_before_it_was_asked_about(room: Room, replies: Replies) -> None:
    """Also a new end that is there already is not mixed up with the old one."""
    begin(room, "t")
    assert replies.wait(["t"], 0.05) == {}
    end(room, "t", b"old")
    begin(room, "t")
    end(room, "t", b"x" * 100_000)
    assert replies.wait(["t"], 5) == {"t": Answer("R", b"x" * 100_000)}


@pytest.mark.servers("server")
def test_of_one_that_ended_without_a_result(room: Room, replies: Replies) -> None:
    begin(room, "t")
    assert replies.wait(["t"], 0.05) == {}
    assert room.broker.revoke("t", b"", 0) == "revoked"
    assert replies.wait(["t"], 5) == {"t": Answer("D")}


@pytest.mark.servers("server")
def test_of_no_more_than_some_is_kept_that_more_may_come(room: Room, replies: Replies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiters, "MOST_UNREAD", 3)
    for n in range(9):
        begin(room, f"t{n}")
        assert replies.wait([f"t{n}"], 0.01) == {}
    assert list(replies._watches.unread) == ["t6", "t7", "t8"]


# --- by what users call ------------------------------------------------------------------------------------------


def gives_up(result: Any) -> None:
    with pytest.raises(ResultTimeout):
        result.get(timeout=0.05)


def is_cancelled(result: Any) -> None:
    async def wait() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(result.aget(), 0.1)

    asyncio.run(wait())


def leaves_as_completed(result: Any) -> None:
    from hotqueue.tasks import ResultSet

    with pytest.raises(ResultTimeout):
        list(ResultSet([result]).as_completed(0.05))


@pytest.fixture
def queue(make_queue: Callable[..., HotQueue]) -> HotQueue:
    return make_queue("lives")


@pytest.mark.parametrize("gave_up", [gives_up, is_cancelled, leaves_as_completed])
def test_a_dead_task_that_is_retried_is_waited_for(queue: HotQueue, gave_up: Callable[[Any], None], tmp_path: Path) -> None:
    @queue.task
    def read(path: str) -> str:
        return Path(path).read_text()

    result = read.delay(str(tmp_path / "file"))
    gave_up(result)
    queue.run_worker(burst=True)
    (tmp_path / "file").write_text("well")
    assert queue.retry_dead(result.id) == 1
    gave_up(queue.result(result.id))
    queue.run_worker(burst=True)
    assert queue.result(result.id).get(30) == "well"
    assert asyncio.run(queue.result(result.id).aget()) == "well"


def test_an_id_that_is_sent_anew_is_waited_for(queue: HotQueue) -> None:
    @queue.task
    def echo(value: str) -> str:
        return value

    result = echo.apply_async(("old",), task_id="the-id")
    gives_up(result)
    queue.run_worker(burst=True)
    result.forget()
    again = echo.apply_async(("new",), task_id="the-id")
    gives_up(again)
    queue.run_worker(burst=True)
    assert again.get(30) == "new"


def test_an_id_that_was_asked_for_before_it_was_sent_is_waited_for(queue: HotQueue) -> None:
    @queue.task
    def echo(value: str) -> str:
        return value

    early = queue.result("later")
    with pytest.raises(UnknownTask):
        early.get(1)
    result = echo.apply_async(("new",), task_id="later")
    queue.run_worker(burst=True)
    assert result.get(30) == "new"
