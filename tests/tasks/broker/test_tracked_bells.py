"""Bells of many queues at one node, over two connections: each ring is heard, and its token taken by one.

Of this kind: whatever may keep a ring from being heard. It came before, or while nobody was there to read; the token is one of
several; the key holds something else; nobody may listen; the server was emptied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.keys import raw
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.tracked_bells import TrackedBells
from tests.support.servers import RedisServer
from tests.support.waiting import holds_for, wait_until

pytestmark = pytest.mark.servers("server")
MANY = 30


@pytest.fixture
def brokers(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[list[Broker]]:
    store = make_queue()._store
    made = [Broker(store, f"{queue_name}-{n}") for n in range(MANY)]
    yield made
    for broker in made:
        store.command(broker.bell_key("s"), "DEL", broker.bell_key("s"))


@pytest.fixture
def listen(brokers: list[Broker]) -> Iterator[Callable[[], TrackedBells]]:
    made: list[TrackedBells] = []

    def begin() -> TrackedBells:
        made.append(listening(brokers))
        return made[-1]

    yield begin
    for each in made:
        each.drop()


def listening(brokers: list[Broker]) -> TrackedBells:
    """Return what listens to all bells."""
    bells = TrackedBells(brokers[0].store, ())
    for number, broker in enumerate(brokers):
        bells.add(raw(broker.bell_key("s")), number)
    bells.connect()
    bells.is_broken = False
    bells.listen(1.0)
    wait_until(lambda: bells.read() == [] and not bells._under_way, what="all were read")
    return bells


def rang(bells: TrackedBells, seconds: float = 5.0) -> list[int]:
    """Return what rings, as one who sleeps hears it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := bells.read():
            return found
        if bells.until_due() <= 0:
            bells.go_on()
    return []


def tokens(broker: Broker) -> int:
    found: int = broker.store.command(broker.bell_key("s"), "LLEN", broker.bell_key("s"))
    return found


def test_each_ring_is_heard_and_its_token_taken(brokers: list[Broker], listen: Callable[[], TrackedBells]) -> None:
    bells = listen()
    for number in (3, MANY - 1, 3):
        brokers[number].ring("s")
        assert rang(bells) == [number]
        assert tokens(brokers[number]) == 0
        bells.listen(1.0)
    assert rang(bells, 0.1) == []


def test_what_rang_before_is_heard(brokers: list[Broker], listen: Callable[[], TrackedBells]) -> None:
    brokers[5].ring("s")
    bells = TrackedBells(brokers[0].store, ())
    bells.add(raw(brokers[5].bell_key("s")), 5)
    bells.connect()
    bells.is_broken = False
    bells.listen(1.0)
    assert rang(bells) == [5]
    bells.drop()


def test_what_rings_while_one_is_at_work_is_heard_if_it_is_still_there(
    brokers: list[Broker], listen: Callable[[], TrackedBells]
) -> None:
    bells = listen()
    for number in (1, 2):
        brokers[number].ring("s")
    brokers[1].store.command(brokers[1].bell_key("s"), "LPOP", brokers[1].bell_key("s"))  # another one came
    bells.listen(1.0)
    assert rang(bells) == [2]
    assert rang(bells, 0.1) == []


def test_one_takes_a_token_at_a_time_and_leaves_the_others(brokers: list[Broker], listen: Callable[[], TrackedBells]) -> None:
    bells = listen()
    for number in range(4):
        brokers[number].ring("s")
    first = rang(bells)
    assert len(first) == 1
    assert sum(tokens(broker) for broker in brokers[:4]) == 3
    others = []
    for _ in range(3):
        bells.listen(1.0)
        others += rang(bells)
    assert sorted(first + others) == [0, 1, 2, 3]


def test_of_several_each_ring_wakes_one_or_two(brokers: list[Broker], listen: Callable[[], TrackedBells]) -> None:
    listeners = [listen() for _ in range(6)]
    woken: list[int] = []
    for _ in range(40):
        brokers[7].ring("s")
        found: list[int] = []

        def is_taken(found: list[int] = found) -> bool:
            found.extend(
                n for each in listeners for n in rang(each, 0.01)
            )  # one that was woken for the ring before may come late
            return bool(found) and tokens(brokers[7]) == 0

        wait_until(is_taken)
        woken.append(len(found))
    assert sum(woken[20:]) < 20 * 2.5
    holds_for(lambda: not any(rang(each, 0.01) for each in listeners), 0.5)


def test_a_key_that_is_no_bell_is_told_and_keeps_no_other_from_being_heard(
    brokers: list[Broker], listen: Callable[[], TrackedBells]
) -> None:
    bells = listen()
    junk = brokers[0].bell_key("s")
    brokers[0].store.command(junk, "SET", junk, "junk")
    wait_until(lambda: rang(bells, 0.01) == [] and 0 in bells.wrong)
    brokers[1].ring("s")
    assert rang(bells) == [1]


def test_one_that_is_silent_is_left_to_others(brokers: list[Broker]) -> None:
    silent = {4}
    bells = TrackedBells(brokers[0].store, silent)
    for number in (4, 5):
        bells.add(raw(brokers[number].bell_key("s")), number)
    bells.connect()
    bells.is_broken = False
    bells.listen(1.0)
    brokers[4].ring("s")
    assert rang(bells, 0.2) == []
    assert tokens(brokers[4]) == 1
    silent.clear()
    assert rang(bells) == [4]
    bells.drop()


def test_what_comes_and_goes(brokers: list[Broker]) -> None:
    bells = listening(brokers[:2])
    bells.remove(0)
    bells.add(raw(brokers[9].bell_key("s")), 9)
    bells.listen(1.0)
    for number in (0, 9):
        brokers[number].ring("s")
    assert rang(bells) == [9]
    assert rang(bells, 0.1) == []
    bells.drop()


@pytest.mark.parametrize("fault", ["emptied", "deaf"])
def test_a_server_that_was_emptied_or_does_not_let_us_listen(start_redis: Callable[[], RedisServer], fault: str) -> None:
    server = start_redis()
    url = server.url
    if fault == "deaf":
        server.client().execute_command("ACL", "SETUSER", "deaf", "on", ">x", "~*", "+@all", "-subscribe")
        url = url.replace("//", "//deaf:x@")
    store = Store(resolve(url=url))
    brokers = [Broker(store, f"q{n}") for n in range(3)]
    bells = listening(brokers)
    server.client().flushall()
    brokers[2].ring("s")
    assert rang(bells) == [2]
    bells.drop()
    store.close()


def test_a_connection_that_is_cut_is_seen_and_made_anew(brokers: list[Broker], listen: Callable[[], TrackedBells]) -> None:
    bells = listen()
    client = brokers[0].store.client()
    ids = [each["id"] for each in client.client_list() if int(each["fd"]) and each["cmd"] in ("subscribe", "llen")]
    for number in ids:
        client.client_kill_filter(_id=number)
    wait_until(lambda: _is_cut(bells), what="it is seen")
    brokers[8].ring("s")
    bells.connect()
    bells.listen(1.0)
    assert rang(bells) == [8]


def _is_cut(bells: TrackedBells) -> bool:
    try:
        bells.listen(1.0)
        bells.read()
    except Exception:
        return True
    return not bells.is_connected
