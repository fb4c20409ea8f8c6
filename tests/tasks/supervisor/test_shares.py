"""What one supervisor takes of the queues that several have: its share, all when alone; what another one leaves, soon after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor import shares
from hotqueue.tasks.supervisor.shares import FEW, Shares
from hotqueue.tasks.supervisor.upkeep import Upkeep
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, place, sync
from tests.tasks.upkeeping import LATER, beat

pytestmark = pytest.mark.servers("server")

MANY = FEW + 8
EVERY = 0.2


@pytest.fixture
def many(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[list[Room]]:
    made = [Room(make_queue(f"{queue_name}-{n:02}")) for n in range(MANY)]
    for room in made:
        room.fill({"tasks": {"t": sync()}, "held:x": {"t": f"1 s {place(1)}"}, "workers": {"x": LATER}})
    yield made
    for room in made:
        room.wipe()


def upkeep_of(rooms: list[Room]) -> Upkeep:
    """Return the upkeep of queues of one store."""
    return Upkeep([Broker(rooms[0].queue._store, room.queue.name) for room in rooms], 60_000)


class Supervisor:
    """Takes its share when told to."""

    def __init__(self, rooms: list[Room], every: float = EVERY) -> None:
        self.queues = list(upkeep_of(rooms)._queues.values())
        self.shares = Shares(every, 0.0)

    def take(self, ours: int = 0) -> set[str]:
        taken = self.shares.take(self.queues, self.queues[:ours])
        names = [each.broker.name for each in taken]
        assert len(names) == len(set(names))
        return set(names)


def names(rooms: list[Room]) -> set[str]:
    return {room.queue.name for room in rooms}


def test_one_that_is_alone_takes_all_and_not_before_their_time_again(many: list[Room]) -> None:
    alone = Supervisor(many, 60.0)
    assert alone.take() == names(many)
    assert alone.take() == set()


def test_several_take_a_share_each_and_leave_none_out(many: list[Room]) -> None:
    several = [Supervisor(many) for _ in range(3)]
    for each in several:
        each.take()
    taken: list[set[str]] = []

    swept = keys.shares(many[0].queue.name, "swept")

    def are_due() -> bool:
        seconds, micros = many[0].client.time()
        last = max(at for _, at in many[0].client.zrange(swept, 0, -1, withscores=True))
        return seconds * 1000 + micros / 1000 > last + 1000 * EVERY

    def all_took() -> bool:
        wait_until(are_due)  # all of them: else one is asked before, and another one after that moment
        taken[:] = [each.take() for each in several]
        return all(taken)  # on a machine at work they may be overdue by now, so that the first takes all

    wait_until(all_took)
    assert all(len(each) <= MANY // 3 for each in taken)
    assert sum(map(len, taken)) == len(set().union(*taken))


def test_what_one_leaves_others_take_once_it_is_overdue(many: list[Room]) -> None:
    gone, left = Supervisor(many), Supervisor(many)
    gone.take()
    left.take()
    seen: set[str] = set()
    wait_until(lambda: seen.update(left.take()) or seen == names(many), 5 * EVERY + 1)  # type: ignore[func-returns-value]


def test_what_one_sweeps_in_any_case_nobody_else_does(many: list[Room]) -> None:
    one, other = Supervisor(many, 60.0), Supervisor(many, 60.0)
    one.shares.take(one.queues[:FEW] + one.queues[-1:], one.queues[:FEW])
    assert other.take() == names(many) - names(many[:FEW]) - names(many[-1:])


def test_of_different_queues_each_is_taken_by_who_has_it(many: list[Room]) -> None:
    one, other = Supervisor(many[:-1], 60.0), Supervisor(many, 60.0)
    assert one.take() == names(many[:-1])
    assert other.take() == names(many[-1:])


def test_queues_without_tasks_are_not_swept(many: list[Room]) -> None:
    for room in many[:5]:
        room.wipe()
    assert Supervisor(many, 60.0).take() == names(many[5:])


@pytest.mark.parametrize("what", ["shares:swept", "shares:sweepers"])
def test_where_nothing_can_be_agreed_on_all_are_taken_in_turn(
    many: list[Room], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many[0].fill({what: ["not ours"]})
    few = Supervisor(many, 5.0)
    assert (few.take(), few.take()) == (names(many), names(many))
    monkeypatch.setattr(shares, "ALONE", 1)
    alone, seen = Supervisor(many, 5.0), list[str]()
    assert alone.take() == names(many)
    for _ in range(2):
        seen += alone.take()
    assert sorted(seen) == sorted(names(many))


def test_the_table_does_not_stay(many: list[Room]) -> None:
    Supervisor(many).take()
    assert 0 < many[0].ttl("shares:swept") <= 60_000
    assert 0 < many[0].ttl("shares:sweepers") <= 60_000


def test_a_table_from_before_the_clock_was_put_back_keeps_nobody_waiting(many: list[Room]) -> None:
    many[0].client.zadd(many[0].prefix + "shares:swept", dict.fromkeys(names(many), LATER))
    many[0].client.pexpire(many[0].prefix + "shares:swept", 60_000)
    assert Supervisor(many, 60.0).take() == names(many)


def test_a_queue_that_could_not_be_swept_is_not_noted_as_well(many: list[Room]) -> None:
    many[3].client.delete(many[3].prefix + "workers")
    many[3].client.set(many[3].prefix + "workers", "not ours")
    beat(upkeep_of(many))
    assert many[0]["shares:swept"].keys() == names(many) - names(many[3:4])


def test_one_beat_of_each_looks_after_all_queues(many: list[Room]) -> None:
    for room in many:
        room.fill({"tasks": {"due": sync()}, "scheduled": {"due": 5}})
    several = [upkeep_of(many) for _ in range(3)]
    for each in several:
        beat(each)
    assert [list(room["ready"]) for room in many] == [["due"]] * MANY
