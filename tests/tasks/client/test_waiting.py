"""Waiting for tasks: a thread and a coroutine get the same answers, give up in time, and leave nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from hotqueue import ResultTimeout
from hotqueue.tasks import State
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.waiting import answers, awaited
from hotqueue.tasks.wire import payload, record
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


def waits(room: Room, *ids: str) -> None:
    room.fill({"tasks": dict.fromkeys(ids, sync()), "ready": dict.fromkeys(ids, 1)})


def end(room: Room, task_id: str) -> bytes:
    blob = record.encode(State.SUCCESS, 0, 1, payload.dumps(7), task_id, None)
    assert room.broker.revoke(task_id, blob, 60_000) == "revoked"
    return blob


def test_a_thread_gets_the_answers_that_came_in_time(room: Room) -> None:
    waits(room, "a", "b")
    blob = end(room, "a")
    found = answers(handle_of(room.queue.result("a")), ["a", "b"], 0.2)
    assert {task_id: (answer.status, answer.record) for task_id, answer in found.items()} == {"a": ("R", blob)}


def test_a_coroutine_gets_the_answer_when_it_comes(room: Room) -> None:
    waits(room, "a")

    async def main() -> bytes:
        waiting = asyncio.create_task(awaited(handle_of(room.queue.result("a")), 30))
        while "a" not in (room["waiters"] or ()):
            await asyncio.sleep(0)
        blob = end(room, "a")
        answer = await waiting
        assert (answer.status, answer.record) == ("R", blob)
        await room.queue.aclose()
        return blob

    asyncio.run(main())


def test_a_coroutine_whose_time_is_up_says_why_and_is_forgotten(room: Room) -> None:
    waits(room, "a")
    handle = handle_of(room.queue.result("a"))

    async def main() -> None:
        with pytest.raises(ResultTimeout, match=r"no result of task a within 0.05 s: no worker listens"):
            await awaited(handle, 0.05)
        await room.queue.aclose()

    asyncio.run(main())
    assert not handle.replies._watches.has_callbacks
