"""What a worker process has posted is brought at once, by a thread beside its tasks; where that fails, its queues go on."""

from __future__ import annotations

import threading

import pytest

from hotqueue.tasks.worker.relaying import Relaying
from tests.support.waiting import wait_until
from tests.tasks.contents import Room
from tests.tasks.two_queues import post, run_all, task

pytestmark = pytest.mark.servers("server")


def test_it_is_brought_beside_the_caller(room: Room, other: Room) -> None:
    relaying = Relaying(is_burst=False)
    for name in "ab":
        post(room, task(other, name))
        relaying.bring(room.broker)
        wait_until(lambda: room["outbox"] is None)
        assert run_all(other) == [name]
    relaying.wait(30)


def test_its_thread_goes_with_it(room: Room, other: Room) -> None:
    before = set(threading.enumerate())
    relaying = Relaying(is_burst=False)
    relaying.bring(room.broker)
    relaying.wait(30)
    assert not set(threading.enumerate()) <= before
    relaying.end()
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_in_a_burst_it_has_come_before_the_next_step(room: Room, other: Room) -> None:
    post(room, task(other, "a"))
    Relaying(is_burst=True).bring(room.broker)
    assert run_all(other) == ["a"]


def test_a_queue_that_cannot_be_brought_to_keeps_nobody(room: Room, other: Room) -> None:
    relaying = Relaying(is_burst=False)
    post(room, task(other, "a"))
    other.client.set(f"{other.prefix}tasks", "junk")
    relaying.bring(room.broker)
    relaying.wait(30)
    assert room["outbox"]
    other.client.delete(f"{other.prefix}tasks")
    relaying.bring(room.broker)
    wait_until(lambda: room["outbox"] is None)
