"""The worker of a quarantine process: runs the suspects it is for, of either kind, and leaves when none is left."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.worker.process import Process
from tests.tasks import sample
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def suspect(room: Room, result: AsyncResult[Any], width: int, kind: str = "") -> None:
    """Have a task be suspected of the death of its process, and run beside fewer than `width` others next."""
    ready = f"ready{kind}"
    at = room[ready][result.id]
    room.client.zrem(room.prefix + ready, result.id)
    room.fill({"suspects": {result.id: at}, "attempts": {result.id: f"0 0 - - - 0 1 {width}"}})


def run(room: Room, width: int) -> None:
    Process([room.queue._tasks], is_burst=True, width=width, supervisor="s").run()


def test_it_runs_suspects_of_either_kind_and_nothing_else(room: Room) -> None:
    square, asquare = room.queue.task(sample.square), room.queue.task(sample.asquare)
    suspects = [square.delay(2), asquare.delay(3)]
    suspect(room, suspects[0], 1)
    suspect(room, suspects[1], 1, ":async")
    other = square.delay(4)
    run(room, 1)
    assert [result.get(30) for result in suspects] == [4, 9]
    assert not other.ready()
    assert (room.queue.pending(), room.queue.workers()) == (1, [])
    room.queue.run_worker(burst=True)


def test_it_leaves_alone_those_that_may_not_run_beside_as_many(room: Room) -> None:
    square = room.queue.task(sample.square)
    alone, beside = square.delay(2), square.delay(3)
    suspect(room, alone, 1)
    suspect(room, beside, 4)
    run(room, 4)
    assert (alone.ready(), beside.get(30)) == (False, 9)
    run(room, 1)
    assert alone.get(30) == 4


def test_after_its_turn_it_begins_no_more(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.tasks.worker.quarantine_worker.TURN", 0.02)
    nap = room.queue.task(sample.nap)
    results = [nap.delay(0.05) for _ in range(3)]
    for result in results:
        suspect(room, result, 1)
    run(room, 1)
    assert [result.ready() for result in results].count(True) == 1
    room.queue.run_worker(burst=True)
    assert all(result.ready() for result in results)
