"""Random workflows over three queues, as in test_workflows_at_random.py, with relays that stop anywhere and ends that come late.

Each step has one outcome, the right one, none waits for ever, and nothing is left over. HOTQUEUE_GRAPHS says how many.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.relay import STEPS, relay
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.broker.test_workflows import HOUR, ended, step
from tests.tasks.broker.test_workflows_at_random import GRAPHS, SEED, Graph, Played, expected
from tests.tasks.contents import Room


class Spread(Graph):
    """A workflow whose steps are of several queues; its own is the first."""

    rooms: list[Room]

    def add(self, needs: list[str], when: str = "S") -> str:
        name = f"{len(self.steps)}"
        takes = self.dice.random() < 0.7
        self.steps.append(step(self.dice.choice(self.rooms), name, *dict.fromkeys(needs), when=when, takes=takes))
        return name


class PlayedSpread(Played):
    """A workflow of several queues as their workers run it."""

    def __init__(self, rooms: list[Room], dice: random.Random, steps: list[Step]) -> None:
        self.rooms = rooms
        self.posted: set[str] = set()
        super().__init__(rooms[0], dice, steps)
        self.sessions = {room.queue.name: self.worker_of(room) for room in rooms}
        self.hands: dict[str, list[str]] = {name: [] for name in self.sessions}

    def worker_of(self, room: Room) -> Session:
        self.number += 1
        session = Session(room.broker, f"w{self.number}", "s")
        session.register(60_000, {"host": "h"})
        session.posted = lambda: self.posted.add(room.queue.name)
        return session

    def settlement(self, task_id: str) -> Settlement:
        """Return how a run ends; none is replaced, see test_workflows_at_random.py."""
        code = self.dice.choices("SXDER", (60, 10, 8, 3, 10))[0]
        if code == "R":
            return Settlement(task_id, "*", code, b"", 0, "1 0 - - -")
        self.ends[task_id] = "S" if code == "X" else code
        self.runs[task_id] = self.runs.get(task_id, 0) + 1
        return Settlement(
            task_id, "*", code, b"" if code == "X" else b"\x01" + code.encode() + b" end", HOUR, "{}" if code == "D" else ""
        )

    def bring(self) -> bool:
        """Bring something, perhaps not to the end; tell whether something was new."""
        stop_at = self.dice.choice(STEPS) if self.dice.random() < 0.3 else ""

        def passed(at: str) -> None:
            if at == stop_at:
                raise InterruptedError

        try:
            return bool(relay(self.dice.choice(self.rooms).broker, passed))
        except InterruptedError:
            return True

    def play(self) -> None:
        quiet = 0
        while quiet < 3:
            moved = self.dice.random() < 0.7 and self.bring()
            for room in self.dice.sample(self.rooms, len(self.rooms)):
                moved = self.turn(room) or moved
            if moved:
                quiet = 0
            else:
                quiet += 1
                for room in self.rooms:
                    while relay(room.broker) or room.broker.follow():
                        quiet = 0

    def turn(self, room: Room) -> bool:
        name = room.queue.name
        hand = self.hands[name]
        self.dice.shuffle(hand)
        act = self.dice.random()
        if act < 0.05 and hand:  # it dies, and what it has in hand goes back
            room.broker.reap(self.sessions[name].worker, known_dead=True)
            self.sessions[name], hand = self.worker_of(room), []
        elif act < 0.07 and room["tasks"]:
            task_id = self.dice.choice(sorted(room["tasks"]))
            if room.broker.revoke(task_id, b"\x01R end", HOUR) == "revoked":
                self.ends[task_id] = "R"
        some = [self.settlement(each) for each in hand[: self.dice.randint(1, 5)]]
        stepped = self.sessions[name].step(self.dice.randint(1, 5), some)
        self.hands[name] = hand[len(some) :] + [delivery.id for delivery in stepped.deliveries]
        return bool(some or stepped.deliveries)

    def retry_some(self) -> bool:
        done = False
        for room in self.rooms:
            dead = [name for name in room["dead"] or () if name not in self.revived]
            some = [name for name in dead if self.dice.random() < 0.5]
            self.revived.update(some)
            for name in some:
                self.ends.pop(name)
                room.broker.revive([name])
            done = done or bool(some)
        return done


@pytest.mark.servers("server", "cluster")
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_random_workflows_over_several_queues(
    room: Room, other: Room, make_queue: Callable[..., HotQueue], queue_name: str, seed: int
) -> None:
    dice = random.Random(seed)
    third = Room(make_queue(f"{queue_name}-third"))
    rooms = [room, other, third]
    posted = [one_workflow(rooms, random.Random(dice.random()), f"{seed} {number}") for number in range(GRAPHS // 6)]
    assert any(posted)  # workers were told that there is something to bring
    third.wipe()


def one_workflow(rooms: list[Room], dice: random.Random, name: str) -> bool:
    room = rooms[0]
    graph = Spread(room, dice)
    graph.rooms = rooms
    graph.grow([], 3)
    room.broker.enqueue_plan("w", graph.steps, b"words")
    played = PlayedSpread(rooms, dice, graph.steps)
    played.play()
    while played.retry_some():
        played.play()
    for each in rooms:
        assert not each["tasks"], (name, each.queue.name, each["tasks"], each["steps"], room["steps"])
    for each in graph.steps:  # what another queue was asked to end has ended there
        if room.broker.record(each.id) == b"\x01R end":
            played.ends.setdefault(each.id, "R")
    found = expected(graph.steps, played.ends)
    assert "missing" not in found.values(), (name, found)
    by_id = {each.id: each for each in graph.steps}
    for task_id, state in found.items():
        before = [found[need] for need in by_id[task_id].needs]
        if state in "SDER" and by_id[task_id].when == "S" and task_id in played.runs:
            assert all(end == "S" for end in before), (name, task_id, before)
        if state == "B":
            assert (room.broker.record(task_id) or b"")[:1] == b"C", (name, task_id)
    for each in rooms:
        each.broker.reap(played.sessions[each.queue.name].worker, known_dead=True)
        each.broker.discard(list(each["dead"] or ()))
    while sum(relay(each.broker) or each.broker.follow() for each in rooms):
        pass
    for each in rooms:
        ended(each)
        assert (each["steps:reported"], each["outbox"]) == (None, None), (name, each.queue.name)
        each.wipe()
    return bool(played.posted)
