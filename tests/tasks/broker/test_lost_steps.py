"""No key of a workflow that others delete, or put something else in, makes anybody wait for ever.

Of this kind: each key that there is, one at a time, in the middle of each shape of workflow, with what upkeep does about it then;
each handle comes to an end, with a value or an error; and each key of two queues, while what a step takes goes from one to the
other in parts. Junk in all keys at once: test_junk_in_keys.py.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import EarlierStepFailed, HotQueueError, ResultTimeout
from hotqueue.tasks import chain, chord, group
from hotqueue.tasks.broker import crossing
from hotqueue.tasks.broker.audit import Audit
from hotqueue.tasks.broker.lost_steps import LostSteps
from hotqueue.tasks.broker.relay import relay
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.inputs import read_inputs
from tests.tasks.contents import Room

only_server = pytest.mark.servers("server")
ROUNDS = 8  # of work and upkeep: more than any of these workflows has steps
FINE = record.encode(State.SUCCESS, 0, 1, payload.dumps(1))
BAD = record.encode(State.FAILURE, 0, 1, payload.dumps_error(ValueError("no")))
SHAPES = ("chain", "group", "chord", "failed", "unique")


def signature(queue: HotQueue, shape: str) -> Any:
    one = queue.task(lambda *_: 1, name="one")
    two = queue.task(lambda n=0: 1, name="only", unique=lambda n=0: "one", on_conflict="ignore")
    return {
        "chain": lambda: chain(one.s(), one.s(), one.si(), one.s()),
        "group": lambda: chain(one.s(), group(one.s(n) for n in range(3))),
        "chord": lambda: chain(chord([one.s(n) for n in range(3)], one.s()), one.s()),
        "failed": lambda: chain(one.s(), one.s()).on_error(one.s()),
        "unique": lambda: chain(group(two.s(), two.s()), one.s()),
    }[shape]()


class Worker:
    """A worker, and upkeep, as far as this needs them, that go on whatever they meet."""

    def __init__(self, room: Room) -> None:
        self.room, self.in_hand = room, list[Delivery]()
        self.session = Session(room.broker, "w", "s")
        self.session.register(60_000, {})

    def fetch(self, most: int) -> None:
        self.in_hand += self.session.step(most, ()).deliveries

    def settle(self, most: int, fails: bool = False) -> None:
        for delivery in self.in_hand[:most]:
            read_inputs(self.room.broker, [delivery])
            is_bad = fails or None in (delivery.inputs or {}).values()
            extra = '{"error":"e"}' if is_bad else ""
            self.session.step(0, [Settlement(delivery.id, "*", "D" if is_bad else "S", BAD if is_bad else FINE, 60_000, extra)])
            self.in_hand.remove(delivery)

    def go_on(self) -> None:
        broker = self.room.broker
        audit = Audit(broker)
        for each in (
            lambda: self.settle(100),
            broker.follow,
            lambda: LostSteps(broker.store, broker.name).end(),
            audit.portion,
            audit.portion,
            lambda: self.session.register(60_000, {}),
            lambda: self.fetch(100),
        ):
            with suppress(HotQueueError):
                each()


def begun(room: Room, shape: str) -> tuple[Worker, list[Any]]:
    """Send a workflow, and be in the middle of it: return its worker, who has something in hand, and the handles of its steps."""
    result = signature(room.queue, shape).delay()
    workflow = room.queue.workflow(result.id)
    handles = [room.queue.result(node.id) for node in workflow.nodes]
    made = Worker(room)
    made.fetch(1)
    made.settle(1, fails=shape == "failed")
    made.fetch(1)
    return made, handles


def there(room: Room, shape: str) -> list[str]:
    """Return the names of the keys that there are in the middle of a workflow, those of steps by the number of the step."""
    _, handles = begun(room, shape)
    names = [key.decode().removeprefix(room.prefix) for key in room.client.scan_iter(room.prefix + "*")]
    root = handles[0].id.rsplit("-", 1)[0]
    return sorted(name.replace(root, "<root>") for name in names)


@only_server
@pytest.mark.parametrize("how", ["deleted", "spoiled"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_handle_comes_to_an_end(room: Room, shape: str, how: str) -> None:
    names = there(room, shape)
    assert {"tasks", "owned"} <= {*names}
    for name in names:
        room.client.delete(*room.client.scan_iter(room.prefix + "*"))
        worker, handles = begun(room, shape)
        key = room.prefix + name.replace("<root>", handles[0].id.rsplit("-", 1)[0])
        room.client.delete(key)
        if how == "spoiled":
            room.client.xadd(key, {"a": "b"})
            worker.go_on()
            room.client.delete(key)
        for _ in range(ROUNDS):
            worker.go_on()
        for number, handle in enumerate(handles):
            try:
                handle.get(timeout=0)
            except ResultTimeout as error:
                pytest.fail(f"{name} {how}: step {number} of {shape} waits for ever: {error}")
            except (HotQueueError, ValueError):
                pass
        assert room["steps"] is None, name


@pytest.mark.servers("server", "cluster")
def test_what_waits_for_nothing_says_so_and_what_is_behind_it_ends(room: Room) -> None:
    worker, handles = begun(room, "chain")
    others = [room.queue.result(node.id) for node in room.queue.workflow(signature(room.queue, "chain").delay().id).nodes]
    assert LostSteps(room.broker.store, room.queue.name).end() == 0
    room.client.hdel(room.prefix + "owned", handles[1].id)
    assert LostSteps(room.broker.store, room.queue.name).end() == 1
    for handle in handles[2:]:
        with pytest.raises(EarlierStepFailed, match="keys of its queue were deleted, or evicted"):
            handle.get(timeout=0)
    for _ in range(ROUNDS):
        worker.go_on()
    assert [handle.get(timeout=0) for handle in (handles[1], *others)] == [1] * 5


@only_server
def test_a_workflow_of_which_more_is_to_be_sent_is_not_lost(room: Room) -> None:
    lots = room.broker.sending("w", [*_planned(room, 1500)])
    next(lots)
    assert LostSteps(room.broker.store, room.queue.name).end() == 0
    room.client.delete(room.prefix + "steps:open")
    assert LostSteps(room.broker.store, room.queue.name).end() > 0


def _planned(room: Room, members: int) -> Any:
    from tests.tasks.planning import step_of

    one = room.queue.task(lambda *_: 1, name="one")
    names = [f"m{n}" for n in range(members)]
    return [*(step_of(one, name) for name in names), step_of(one, "body", (), names, "*")]


class Crossed:
    """A chord whose body is of another queue, and a step behind it; the body has a part of what it takes so far."""

    def __init__(self, room: Room, other: Room) -> None:
        self.room, self.other = room, other
        one, there = room.queue.task(lambda *_: 1, name="one"), other.queue.task(lambda *_: 1, name="there")
        sent = chain(chord([one.s(n) for n in range(3)], there.s()), one.s()).delay()
        self.body, self.last = [room.queue.result(node.id) for node in room.queue.workflow(sent.id).nodes][-2:]
        self.workers = Worker(room), Worker(other)
        self.workers[0].fetch(100)
        self.workers[0].settle(100)
        _, some = room.broker.posted(other.queue.name)
        ids = crossing.needs_of(some[0])
        other.broker.hear(room.queue.name, some, [ids], room.broker.inputs(ids[:1]), 0, has_more=True)
        assert len(ids) == 3
        assert other["steps"][self.body.id].endswith(" @in")

    def go_on(self, asks_again: bool = False) -> None:
        for _ in range(ROUNDS):
            for room, worker in zip((self.room, self.other), self.workers, strict=True):
                worker.go_on()
                with suppress(HotQueueError):
                    relay(room.broker)
                if asks_again:
                    with suppress(HotQueueError):
                        room.broker.ask_again()

    def nothing_is_left(self) -> bool:
        return [room[key] for room in (self.room, self.other) for key in ("tasks", "steps", "outbox")] == [None] * 6


@pytest.fixture
def crossed(room: Room, other: Room, monkeypatch: pytest.MonkeyPatch) -> Crossed:
    monkeypatch.setattr(crossing, "RECORDS_AT_ONCE", 1)  # so that three come in as many parts
    return Crossed(room, other)


@pytest.mark.servers("server", "cluster")
def test_what_a_step_takes_and_nobody_brings_any_more_is_lost(crossed: Crossed) -> None:
    assert LostSteps(crossed.other.broker.store, crossed.other.queue.name).end() == 0
    crossed.room.client.delete(crossed.room.prefix + "outbox")
    crossed.room.client.delete(f"{crossed.room.prefix}posted:{crossed.other.queue.name}")
    assert LostSteps(crossed.other.broker.store, crossed.other.queue.name).end() == 1
    crossed.go_on()
    for handle in (crossed.body, crossed.last):
        with pytest.raises(EarlierStepFailed, match="keys of its queue were deleted, or evicted"):
            handle.get(timeout=0)
    assert crossed.nothing_is_left()


@only_server
def test_what_stands_in_an_outbox_that_does_not_name_its_queue_any_more_is_brought(crossed: Crossed) -> None:
    crossed.room.client.delete(crossed.room.prefix + "outbox")
    crossed.go_on()
    assert [crossed.body.get(timeout=0), crossed.last.get(timeout=0)] == [1, 1]
    assert crossed.nothing_is_left()


@only_server
def test_what_is_to_be_posted_anew_is_not_lost(crossed: Crossed) -> None:
    """As a failover of the one queue's shard leaves it: what it posted is forgotten, and that it did."""
    room, other = crossed.room, crossed.other
    row = room["steps"][crossed.body.id]
    for key in ("outbox", f"posted:{other.queue.name}"):
        room.client.delete(room.prefix + key)
    room.client.hset(room.prefix + "steps", crossed.body.id, row.replace("=", ">"))
    assert LostSteps(other.broker.store, other.queue.name).end() == 0


@only_server
def test_a_queue_that_is_gone_leaves_no_step_in_another_that_waits_for_it(crossed: Crossed) -> None:
    crossed.room.client.delete(*crossed.room.client.scan_iter(crossed.room.prefix + "*"))
    assert crossed.other["steps"]
    crossed.go_on()
    assert (crossed.other["tasks"], crossed.other["steps"]) == (None, None)


@only_server
@pytest.mark.parametrize("also", [(), ("outbox", "posted:<other>")], ids=["", "with the outbox"])
def test_every_key_of_either_queue_may_be_lost_then(crossed: Crossed, also: tuple[str, ...]) -> None:
    rooms = crossed.room, crossed.other
    for at in range(2):
        for name in [key.decode().removeprefix(rooms[at].prefix) for key in rooms[at].client.scan_iter(rooms[at].prefix + "*")]:
            if name.startswith("result:") and crossed.body.id.rpartition("-")[0] in name:
                continue
            rooms[0].wipe()  # and the other, whose name begins with this one's
            made = Crossed(*rooms)
            for key in also:
                rooms[0].client.delete(rooms[0].prefix + key.replace("<other>", rooms[1].queue.name))
            rooms[at].client.delete(rooms[at].prefix + name)
            made.go_on(asks_again=True)
            for handle in (made.body, made.last):
                try:
                    handle.get(timeout=0)
                except ResultTimeout as error:
                    pytest.fail(f"{name} of {rooms[at].queue.name}: waits for ever: {error}")
                except (HotQueueError, ValueError):
                    pass
            assert [room["steps"] for room in rooms] == [None, None], name
