"""Random workflows (chains, groups and chords in each other), with errors, retries, revoking, lost workers, and tasks that are
replaced: each step has one outcome, the right one, none waits for ever, and nothing is left over. HOTQUEUE_GRAPHS says how
many; some where it does not.

What must come of a workflow is said here anew, over the whole graph at its end, in Python; see test_workflows.py for the kinds.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest

from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire import plan
from hotqueue.tasks.wire.plan import Step
from hotqueue.tasks.wire.settlement import Settlement
from tests.tasks.broker.test_workflows import HOUR, ended, step
from tests.tasks.contents import Room

GRAPHS = int(os.environ.get("HOTQUEUE_GRAPHS", "60"))
SEED = int(os.environ.get("HOTQUEUE_SEED", "1"))


@dataclass
class Graph:
    """A workflow that grows; `steps` in an order in which each stands behind what it needs."""

    room: Room
    dice: random.Random
    prefix: str = ""
    steps: list[Step] = field(default_factory=list)

    def add(self, needs: list[str], when: str = "S") -> str:
        name = f"{self.prefix}{len(self.steps)}"
        self.steps.append(step(self.room, name, *dict.fromkeys(needs), when=when, takes=self.dice.random() < 0.7))
        return name

    def grow(self, needs: list[str], depth: int) -> list[str]:
        """Add a part behind some steps; return its last ones."""
        kind = self.dice.choice(("task", "chain", "group", "chord")) if depth else "task"
        if kind == "task":
            last = [self.add(needs)]
            if self.dice.random() < 0.2:
                self.add(last, "F")
            return last
        if kind == "chain":
            for _ in range(self.dice.randint(1, 4)):
                needs = self.grow(needs, depth - 1)
            return needs
        last = [each for _ in range(self.dice.randint(1, 4)) for each in self.grow(needs, depth - 1)]
        if kind == "group":
            return last
        body = self.add(last, self.dice.choice("SSA"))
        if self.dice.random() < 0.2:
            self.add([*last, body], "F")
        return [body]


class Played:
    """A workflow as workers run it; `ends` is how the last run of each step ended: S, D, E or R (revoked).

    `steps` are those of the graph, and those that came in the place of some, each behind what it needs;
    of a step that was replaced it is the last of these. `whole`: those that fail as well where a step dies that came with them.
    """

    def __init__(self, room: Room, dice: random.Random, steps: list[Step]) -> None:
        self.room, self.dice = room, dice
        self.steps = list(steps)
        self.whole: set[str] = set()
        self.ends: dict[str, str] = {}
        self.runs: dict[str, int] = {}
        self.revived: set[str] = set()
        self.number = 0
        self.session = self.worker()

    def worker(self) -> Session:
        self.number += 1
        session = Session(self.room.broker, f"w{self.number}", "s")
        session.register(60_000, {"host": "h"})
        session.know_steps()
        return session

    def settlement(self, task_id: str) -> Settlement:
        code = self.dice.choices("SXDERN", (60, 10, 8, 3, 10, 10 if len(self.steps) < 100 else 0))[0]
        if code == "N" and task_id not in (self.room["revoked"] or ()):
            return self.replacement(task_id)
        code = "S" if code == "N" else code
        blob = {"X": b"", "R": b""}.get(code, b"\x01" + code.encode() + b" end")
        if code != "R":
            self.ends[task_id] = "S" if code == "X" else code
            self.runs[task_id] = self.runs.get(task_id, 0) + 1
        return Settlement(task_id, "*", code, blob, HOUR if code != "R" else 0, {"D": "{}", "R": "1 0 - - -"}.get(code, ""))

    def replacement(self, task_id: str) -> Settlement:
        """Have a task be replaced by a part of any form, or by another call."""
        self.number += 1
        graph = Graph(self.room, self.dice, f"{task_id}+{self.number}.")
        needs = graph.grow([], self.dice.randint(0, 2)) if self.dice.random() < 0.7 else []
        own = step(self.room, task_id, *dict.fromkeys(needs), takes=self.dice.random() < 0.7)
        before = [*graph.steps]
        behind = [graph.add([task_id], self.dice.choice("SF"))] if self.dice.random() < 0.2 else []
        steps = [*before, own, *graph.steps[len(before) :]]
        at = next(n for n, each in enumerate(self.steps) if each.id == task_id)
        self.steps[at : at + 1] = steps
        self.runs.pop(task_id, None)  # of a life before
        self.whole -= {task_id}
        self.whole |= {task_id} if needs else set()
        words = b"words" if needs or behind else b""
        return Settlement(task_id, "*", "N", plan.packed(steps, self.room.queue.name, task_id, words, HOUR), 0, "")

    def play(self) -> None:
        hand: list[str] = [each.id for each in self.session.step(self.dice.randint(1, 5)).deliveries]
        while hand:
            self.dice.shuffle(hand)
            act = self.dice.random()
            if act < 0.1:  # it dies, and what it has in hand goes back
                self.room.broker.reap(self.session.worker, known_dead=True)
                self.session, hand = self.worker(), []
            elif act < 0.15 and self.room["tasks"]:
                self.revoke(self.dice.choice(sorted(self.room["tasks"])))
            some = [self.settlement(each) for each in hand[: self.dice.randint(1, 5)]]
            stepped = self.session.step(self.dice.randint(1, 5), some)
            if self.dice.random() < 0.1:
                again = [each for each in some if each.code not in "RN"]
                assert len(self.session.settle(again).gone) == len(again)
            hand = hand[len(some) :] + [delivery.id for delivery in stepped.deliveries]

    def revoke(self, task_id: str) -> None:
        if self.room.broker.revoke(task_id, b"\x01R end", HOUR) == "revoked":
            self.ends[task_id] = "R"

    def retry_some(self) -> bool:
        dead = [name for name in self.room["dead"] or () if name not in self.revived]
        some = [name for name in dead if self.dice.random() < 0.5]
        self.revived.update(some)
        for name in some:
            self.ends.pop(name)
            self.room.broker.revive([name])
        return bool(some)


def expected(steps: list[Step], ends: dict[str, str]) -> dict[str, str]:
    """Return what must have become of each step: how its run ended, or that it ended behind another (B), or was dropped (-).

    Of those that could be revived meanwhile nothing is said that depends on when.
    """
    found: dict[str, str] = {}
    for each in steps:
        before = [found[need] for need in each.needs]
        if each.id in ends:
            found[each.id] = ends[each.id]
        elif each.when == "F":
            found[each.id] = "-"
        else:
            found[each.id] = "B" if any(state != "S" for state in before) else "missing"
    return found


def has_failed_with_others(played: Played, task_id: str) -> bool:
    """Tell whether a task has failed as a step died that had come in its place."""
    return task_id in played.whole and (played.room.broker.record(task_id) or b"")[:2] == b"CF"


@pytest.mark.servers("server")
@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
def test_random_workflows(room: Room, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(GRAPHS // 6):
        one_workflow(room, random.Random(dice.random()), f"{seed} {number}")


def one_workflow(room: Room, dice: random.Random, name: str) -> None:
    graph = Graph(room, dice)
    graph.grow([], 4)
    room.broker.enqueue_plan("w", graph.steps, b"words")
    played = Played(room, dice, graph.steps)
    played.play()
    while played.retry_some():
        played.play()
    found = expected(played.steps, played.ends)
    assert "missing" not in found.values(), (name, found)
    assert not room["tasks"], (name, room["tasks"])
    by_id = {each.id: each for each in played.steps}
    for task_id, state in found.items():
        each = by_id[task_id]
        before = [found[need] for need in each.needs]
        if state in "SDER" and each.when == "S" and task_id in played.runs:
            assert all(end == "S" for end in before), (name, task_id, before)
        blob = room.broker.record(task_id)
        if state == "B":
            assert (blob or b"")[:1] == b"C", (name, task_id, blob)
        if each.when == "F" and not played.revived and played.ends.get(task_id) != "R":
            died = any(played.ends.get(need) == "D" or has_failed_with_others(played, need) for need in each.needs)
            assert (task_id in played.runs) is died, (name, task_id, died)
    room.broker.reap(played.session.worker, known_dead=True)
    room.broker.discard(list(room["dead"] or ()))
    ended(room)
    for key in room.client.scan_iter(room.prefix.replace("{", "?").replace("[", "?") + "*"):
        room.client.delete(key)
