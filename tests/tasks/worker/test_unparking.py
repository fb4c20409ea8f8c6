"""Parked tasks that a worker can run: it looks for them, some at a time; what was paused goes back for all."""

from __future__ import annotations

import math
from dataclasses import replace

from hotqueue import HotQueue
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.unparking import ASK_AGAIN, ASK_LATER
from tests.tasks import sample
from tests.tasks.contents import Room, sync


def stepped(now: int) -> Stepped:
    return Stepped(now, 5, True, 0, 0, 0, 0, [], [])


def test_parked_tasks_that_this_worker_can_run_go_back_few_at_a_time(queue: HotQueue, room: Room) -> None:
    mine = ["task:known", f"python:{payload.PYTHON}", "wire:1"]
    others = ["task:unknown", "python:2.7", "wire:9", "odd"]
    room.fill({"tasks": {need: sync() for need in mine + others}, "needs": mine + others})
    for need in mine + others:
        room.fill({f"parked:{need}": {need: 1}})
    queue.task(name="known")(sample.note)
    subscription = Subscription(queue._tasks, "w", "s")
    assert (subscription.may_unpark, subscription.until_look()) == (False, math.inf)
    subscription.took(replace(stepped(1), needs=7))
    assert subscription.may_unpark
    assert subscription.unpark("s", 5) == 3
    assert room["ready"] == dict.fromkeys(mine, 1)
    assert room["needs"] == set(others)
    assert subscription.until_look() <= ASK_AGAIN, "soon: others may park them again"


def test_parked_tasks_of_others_are_looked_at_once_a_second(queue: HotQueue, room: Room) -> None:
    room.fill({"needs": ["task:unknown"], "parked:task:unknown": {"u": 1}})
    subscription = Subscription(queue._tasks, "w", "s")
    subscription.took(replace(stepped(1), needs=1))
    assert subscription.unpark("s", 5) == 0
    assert not subscription.may_unpark
    assert ASK_AGAIN < subscription.until_look() <= ASK_LATER


def test_what_was_paused_goes_back_whoever_knows_it_and_more_at_a_time(queue: HotQueue, room: Room) -> None:
    """And nobody is thought to be there who would park it again."""
    ids = {str(n): n for n in range(100)}
    room.fill({"tasks": {x: sync() for x in ids}, "needs": ["paused:mail"], "parked:paused:mail": ids})
    subscription = Subscription(queue._tasks, "w", "s")
    subscription.took(replace(stepped(1), needs=1, paused=["mail"]))
    assert subscription.unpark("s", 5) == 0
    subscription.took(replace(stepped(1), needs=1))
    assert subscription.unpark("s", 5) == 100
    assert (room["ready"], room["needs"]) == (ids, None)
    subscription.took(stepped(1))
    assert subscription.until_look() == math.inf
