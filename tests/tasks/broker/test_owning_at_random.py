"""Results that are owned, whatever happens in whatever order: one that is owned is always there, and in the end nothing is left.

Tasks are sent, fetched, settled in every way, put back, retried, revoked, expire, die, are retried from the dead list and
discarded, their workers are lost and recover; results are owned before they come, then, late and twice, forgotten, and let go of
in portions.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.owning import THERE
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Settlement
from tests.support import leaks
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")
STEPS = 150
SEEDS = range(6 * int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1")))
HOUR = 3_600_000
LASTING = {"enqueued", "accounts", "stats", "seq", "bell", "bell:async", "workers"}  # what a queue keeps though it is empty


class World:
    """A queue to which things happen, and what has to be true of it."""

    def __init__(self, room: Room, seed: int) -> None:
        self.room, self.random = room, random.Random(seed)
        self.ids: list[str] = []
        self.owns: dict[str, list[str]] = {}  # owner → what it owns, as often as it was named
        self.parts: Counter[str] = Counter()
        self.kept: dict[str, str] = {}  # of what is owned and has ended: its record
        self.in_hand: list[str] = []
        self.happened: list[str] = []
        self.register()

    def register(self) -> None:
        self.session = Session(self.room.broker, f"w{len(self.happened)}", "s")
        self.session.register(60_000, {"host": "h"})

    def one(self) -> str:
        return self.random.choice(self.ids[-30:])

    # --- what happens ------------------------------------------------------------------------------------------------

    def send(self) -> None:
        self.ids.append(f"t{len(self.ids)}")
        due, expires = self.random.choice([("", ""), ("", ""), ("+1", ""), ("", "+1"), ("+60000", "")])
        self.room.broker.enqueue([Encoded(self.ids[-1], due, expires, sync(self.ids[-1]).encode())])

    def own(self) -> None:
        owner, ids = self.one(), [self.one() for _ in range(self.random.choice([1, 2, 5]))]
        if self.random.random() < 0.2:
            ids += [f"never{n}" for n in range(self.random.choice([1, 150]))]
        states, is_so = self.room.broker.own(
            owner, ids, part=self.parts[owner], must_exist=self.random.random() < 0.5 and "never0" not in ids
        )
        if not is_so:
            return
        self.parts[owner] += 1
        self.owns.setdefault(owner, []).extend(ids)
        for task_id, state in zip(ids, states, strict=True):
            if state == THERE and (record := self.room[f"result:{task_id}"]) is not None:
                self.kept[task_id] = record

    def fetch(self) -> None:
        self.in_hand += [each.id for each in self.session.step(self.random.randrange(1, 6)).deliveries]

    def settle(self) -> None:
        some = [self.in_hand.pop(self.random.randrange(len(self.in_hand))) for _ in range(min(len(self.in_hand), 3))]
        chosen = [(task_id, self.random.choice("SSSSXEDRP")) for task_id in some]
        sent = [self.settlement(task_id, code) for task_id, code in chosen]
        gone = self.session.settle(sent).gone
        for each in sent:
            if each.id not in gone and each.blob:
                self.kept[each.id] = str(each.blob)

    def settlement(self, task_id: str, code: str) -> Settlement:
        blob = f"{task_id} {len(self.happened)}" if code in "SED" else ""
        ms = self.random.choice([0, 1, 2, HOUR]) if code in "SED" else 0
        extra = {"D": "{}", "R": "1 0 - - -"}.get(code, "")
        return Settlement(task_id, "*", code, blob, ms, extra)

    def lose_the_worker(self) -> None:
        self.room.broker.reap(self.session.worker, known_dead=True)
        self.in_hand = []
        self.register()

    def recover(self) -> None:
        found = self.session.recover(self.in_hand)
        assert found == []

    def revoke(self) -> None:
        task_id = self.one()
        record = f"{task_id} revoked {len(self.happened)}"
        if self.room.broker.revoke(task_id, record.encode(), self.random.choice([1, HOUR])) == "revoked":
            self.kept[task_id] = record

    def expire(self) -> None:
        for task_id in self.room.broker.expire_all():
            if any(task_id in ids for ids in self.owns.values()):
                self.kept[task_id] = self.room[f"result:{task_id}"]

    def promote(self) -> None:
        self.room.broker.promote()

    def revive(self) -> None:
        for task_id in self.room.broker.revive([self.one(), self.one()]):
            self.kept.pop(task_id, None)

    def discard(self) -> None:
        self.room.broker.discard([self.one()])

    def forget(self) -> None:
        self.room.broker.forget(self.one())

    def let_go(self) -> None:
        self.room.broker.let_go(1)

    # --- what has to be true -----------------------------------------------------------------------------------------

    def happens(self) -> None:
        chances: dict[Callable[[], None], int] = {
            self.send: 6, self.own: 6, self.fetch: 4, self.settle: 6, self.lose_the_worker: 1, self.recover: 1, self.revoke: 2,
            self.expire: 1, self.promote: 1, self.revive: 2, self.discard: 1, self.forget: 1, self.let_go: 1,
        }  # fmt: skip
        [what] = self.random.choices(list(chances), list(chances.values())) if self.ids else [self.send]
        self.happened.append(what.__name__)
        what()
        self.check()

    def check(self) -> None:
        room, exist = self.room, {*(self.room["tasks"] or {}), *(self.room["dead:tasks"] or {})}
        for owner in self.owns.keys() - exist:
            del self.owns[owner]
            del self.parts[owner]
        found = room["owned"] or {}
        over = Counter(task_id for part in room["owned:over"] or [] for task_id in part.split())
        expected = Counter(task_id for ids in self.owns.values() for task_id in ids) + over
        assert {task_id: int(value.split()[0]) for task_id, value in found.items() if task_id[0] != "\n"} == expected
        assert {field.split("\n")[1] for field in found if field[0] == "\n"} == self.owns.keys()
        for task_id in expected & Counter(self.kept.keys()):
            key = f"result:{task_id}"
            assert (room[key], room.ttl(key)) == (self.kept[task_id], -1), task_id
        self.kept = {task_id: record for task_id, record in self.kept.items() if task_id in expected}
        for key in self.keys():
            if key.startswith("result:") and key.removeprefix("result:") not in expected:
                assert room.ttl(key) != -1, key

    def keys(self) -> list[str]:
        return [key.removeprefix(self.room.prefix) for key in leaks.keys_of(self.room.client, self.room.queue.name)]

    def end(self) -> None:
        """End everything; then nothing is owned, and no key stays for ever."""
        self.lose_the_worker()
        for task_id in self.room["tasks"] or {}:
            self.room.broker.revoke(task_id, b"ended", 1)
        self.room.broker.discard(list(self.room["dead:tasks"] or {}))
        self.check()
        assert self.room.broker.let_go() == 0
        wait_until(lambda: not [key for key in self.keys() if 0 <= self.room.ttl(key) < 1000])
        left = {key for key in self.keys() if self.room.ttl(key) == -1}
        assert {key for key in left if not key.startswith("worker:")} <= LASTING


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_owned_is_there_and_in_the_end_nothing_is_left(room: Room, seed: int) -> None:
    world = World(room, seed)
    began = time.monotonic()
    try:
        for _ in range(STEPS):
            world.happens()
        world.end()
    except BaseException as error:
        error.add_note(f"seed {seed}, after {time.monotonic() - began:.1f} s: {world.happened}")
        raise
