"""A queue whose tasks send others to another queue, and what runs there and ends without a trace."""

from __future__ import annotations

import time

from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.outgoing import Outgoing, packed
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.contents import Room, sync


def task(other: Room, task_id: str, due: str = "", expires: str = "", envelope: str = "") -> Outgoing:
    return Outgoing(other.queue.name, task_id, due, expires, (envelope or sync(task_id)).encode())


def post(room: Room, *outgoing: Outgoing) -> None:
    """End a task that sends these."""
    name = f"step{time.monotonic_ns()}"
    room.broker.enqueue_one(name, sync().encode())
    session = Session(room.broker, "w", "s")
    session.register(60_000, {"host": "h"})
    session.number = time.monotonic_ns() // 1000
    assert session.step(1).deliveries[0].id == name
    assert session.settle([Settlement(name, "*", "X", b"", 0, packed(outgoing))]).gone == []


def run_all(other: Room) -> list[str]:
    """End all tasks of the other queue, without a trace."""
    session = Session(other.broker, "o", "s")
    session.register(60_000, {"host": "h"})
    session.number = time.monotonic_ns() // 1000
    ran = [each.id for each in session.step(1000).deliveries]
    session.settle([Settlement(each, "*", "X", b"", 0, "") for each in ran])
    forget_the_ended(other)
    return ran


def forget_the_ended(other: Room) -> None:
    """Do what two minutes do."""
    for third in range(3):
        other.client.delete(f"{other.prefix}done:{third}")
