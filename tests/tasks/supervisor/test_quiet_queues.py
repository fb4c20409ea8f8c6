"""In which queues of a node there is nothing: asked once, and again where something changed.

Of this kind: whatever may make a queue that has tasks look quiet. It came back from elsewhere, the connection was cut, the server
emptied, nobody may listen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from hotqueue import HotQueue, keys
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.quiet_queues import QuietQueues
from hotqueue.tasks.supervisor.shares import FEW, Shares
from hotqueue.tasks.supervisor.upkeep import Upkeep
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")
THINGS = ("tasks", "owned:over", "outbox", "receipts")


@pytest.fixture
def rooms(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[list[Room]]:
    first = make_queue(f"{queue_name}-0")
    made = [Room(first), *(Room(make_queue(f"{queue_name}-{n}")) for n in range(1, 5))]
    yield made
    for room in made:
        room.wipe()


@pytest.fixture
def brokers(rooms: list[Room]) -> list[Broker]:
    return [Broker(rooms[0].queue._store, room.queue.name) for room in rooms]


@pytest.fixture
def quiet(brokers: list[Broker]) -> Iterator[QuietQueues]:
    made = QuietQueues(brokers[0].store)
    yield made
    made.close()


def asked(store: Store) -> int:
    found = store.client().info("commandstats").get("cmdstat_exists", {"calls": 0})
    return int(found["calls"])


@pytest.mark.parametrize("thing", THINGS)
def test_one_in_which_there_is_something_is_not_quiet_until_that_is_gone(
    rooms: list[Room], brokers: list[Broker], quiet: QuietQueues, thing: str
) -> None:
    assert quiet.among(brokers) == set(brokers)
    rooms[2].client.set(rooms[2].prefix + thing, "something")
    wait_until(lambda: quiet.among(brokers) == set(brokers) - {brokers[2]})
    rooms[2].client.delete(rooms[2].prefix + thing)
    wait_until(lambda: quiet.among(brokers) == set(brokers))


def test_where_nothing_changes_nothing_is_asked(brokers: list[Broker], quiet: QuietQueues) -> None:
    quiet.among(brokers)
    before = asked(brokers[0].store)
    for _ in range(10):
        quiet.among(brokers)
    assert asked(brokers[0].store) == before


def test_one_that_was_elsewhere_is_asked_again(rooms: list[Room], brokers: list[Broker], quiet: QuietQueues) -> None:
    quiet.among(brokers)
    quiet.among(brokers[:-1])
    quiet._tracking.ask([])
    quiet._of.clear()  # nothing was said of it meanwhile
    rooms[-1].fill({"tasks": {"t": sync()}})
    assert brokers[-1] not in quiet.among(brokers)


@pytest.mark.parametrize("which", [0, 1])
def test_after_a_connection_was_cut_all_are_asked(
    rooms: list[Room], brokers: list[Broker], quiet: QuietQueues, which: int
) -> None:
    quiet.among(brokers)
    quiet._tracking._both()[which].close()
    rooms[1].fill({"tasks": {"t": sync()}})
    assert quiet.among(brokers) == set(brokers) - {brokers[1]}


@pytest.mark.parametrize("fault", ["emptied", "deaf"])
def test_a_server_that_was_emptied_or_does_not_let_us_listen(start_redis: Callable[[], RedisServer], fault: str) -> None:
    server = start_redis()
    url = server.url
    if fault == "deaf":
        server.client().execute_command("ACL", "SETUSER", "deaf", "on", ">x", "~*", "+@all", "-subscribe")
        url = url.replace("//", "//deaf:x@")
    store = Store(resolve(url=url))
    brokers = [Broker(store, f"q{n}") for n in range(3)]
    quiet = QuietQueues(store)
    assert quiet.among(brokers) == set(brokers)
    server.client().flushall()
    server.client().hset("{hotqueue:q1}:tasks", "t", "x")
    wait_until(lambda: quiet.among(brokers) == {brokers[0], brokers[2]})
    quiet.close()
    store.close()


@pytest.mark.servers("cluster")
def test_those_of_other_nodes_are_left_to_them(rooms: list[Room], brokers: list[Broker], quiet: QuietQueues) -> None:
    """Before it is known which nodes there are, all queues of a Cluster are put together."""
    store = brokers[0].store
    assert quiet.among(brokers) == set(brokers)
    for room in rooms:
        room.client.set(room.prefix + "tasks", "something")
    here = store.place_of(brokers[0].bell_key("s"))
    loud = {broker for broker in brokers if store.place_of(broker.bell_key("s")) == here}
    wait_until(lambda: quiet.among(brokers) == set(brokers) - loud)


@pytest.mark.servers("cluster")
def test_of_many_queues_of_a_node_only_those_with_tasks_are_swept(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    first = make_queue(queue_name)
    store = first._store
    store.client()
    names = (f"{queue_name}-{n}" for n in range(1000))
    place = store.place_of(first.key)
    here = [Broker(store, name) for name in islice((n for n in names if store.place_of(keys.queue(n)) == place), 2 * FEW)]
    queues = list(Upkeep(here, 60_000)._queues.values())
    shares = Shares(0.2, 1.0)
    assert shares.take(queues, []) == []
    assert shares.now is None
    room = Room(make_queue(here[3].name))
    room.fill({"tasks": {"t": sync()}})
    wait_until(lambda: shares.take(queues, []) == [queues[3]])
    assert shares.now is not None
    room.wipe()
    wait_until(lambda: shares.take(queues, []) == [] and shares.now is None)
    shares.close()
