"""What follows from queues that globs find: the numbers under which processes know them, their upkeep, and how both end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.supervisor.found_queues import FoundQueues
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.served_queues import Queues
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.worker.child import Settings
from hotqueue.tasks.worker.orders import Adopt, LetGo, Order, packed

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class Told(Child):
    """A process that notes its orders."""

    def __init__(self, plain: list[Broker]) -> None:
        super().__init__(1, -1, -1, [], [])
        self.stores = [plain[0].store]
        self.queues, self.is_ready = list(plain), True
        self.orders: list[Order] = []

    def order(self, order: Order) -> None:
        assert packed(order)
        self.orders.append(order)

    def flush(self) -> None:
        pass


class Supervising:
    """A supervisor with a glob, without its loop."""

    def __init__(self, queue: HotQueue) -> None:
        self.store = queue._store
        settings = Settings(make_queue=HotQueue, queues=("t-*",))
        self.state = Phase(lambda text: None)
        self.pool = Processes(settings, self.state)
        self.queues = Queues()
        self.found = FoundQueues(settings.queues, self.queues, self.pool, self.state, lambda: None)
        plain = self.queues.broker_of("plain", self.store)
        self.found.seek([self.queues.store_of(self.store)], [plain])
        self.state.upkeep = Upkeep([plain], 60_000)
        self.pool.all = [Told([plain]), Told([plain])]
        [self.discovery] = self.found._discoveries

    def looked_after(self) -> set[str]:
        self.found.conclude()
        assert self.state.upkeep is not None
        return {queue.broker.name for each in self.state.upkeep.rounds for queue in each.queues}


@pytest.fixture
def supervising(make_queue: MakeQueue) -> Supervising:
    return Supervising(make_queue())


def orders_of(child: Any) -> list[Order]:
    given, child.orders = child.orders, []
    return list(given)


def test_a_queue_that_is_found_is_worked_at_and_looked_after_until_all_have_left_it(supervising: Supervising) -> None:
    one, other = supervising.pool.all
    supervising.discovery.take_in({"t-1", "t-2"}, [])
    assert orders_of(one) == [Adopt(1, 1, 0, "t-1"), Adopt(2, 2, 0, "t-2")]
    assert [queue.name for queue in one.queues] == ["plain", "t-1", "t-2"]
    orders_of(other)
    assert supervising.looked_after() == {"plain", "t-1", "t-2"}
    supervising.discovery.take_in(set(), ["t-1"])
    [let_go], [of_other] = orders_of(one), orders_of(other)
    assert (let_go, of_other) == (LetGo(1, 5), LetGo(1, 6))
    supervising.found.left(one, 1, 5)
    assert "t-1" in supervising.looked_after()
    supervising.found.left(other, 1, 6)
    assert supervising.looked_after() == {"plain", "t-2"}
    supervising.discovery.take_in({"t-3"}, [])
    assert orders_of(one) == [Adopt(1, 7, 0, "t-3")]  # the number is free
    assert [queue.name for queue in one.queues] == ["plain", "t-3", "t-2"]


def test_one_that_comes_back_before_all_have_left_it_stays(supervising: Supervising) -> None:
    one = supervising.pool.all[0]
    supervising.discovery.take_in({"t-1"}, [])
    supervising.discovery.take_in(set(), ["t-1"])
    supervising.discovery.take_in({"t-1"}, [])
    assert orders_of(one)[-1] == Adopt(1, 5, 0, "t-1")
    supervising.found.left(one, 1, 3)  # said before it heard that
    assert supervising.looked_after() == {"plain", "t-1"}
    assert [queue.name for queue in one.queues] == ["plain", "t-1"]
    supervising.discovery.take_in(set(), ["t-1"])
    supervising.found.left(one, 1, 3)
    assert supervising.looked_after() == {"plain", "t-1"}
    supervising.found.left(one, 1, 7)
    assert supervising.looked_after() == {"plain", "t-1"}
    supervising.pool.all = [one]  # the other one died, and will not say that it has left
    assert supervising.looked_after() == {"plain"}


def test_what_is_to_be_written_at_a_queue_is_written_before_it_is_let_go_of(supervising: Supervising) -> None:
    supervising.discovery.take_in({"t-1"}, [])
    upkeep = supervising.state.upkeep
    assert upkeep is not None
    broker = supervising.queues.broker_of("t-1", supervising.store)
    written: list[int] = []
    upkeep.write_later(broker, lambda: written.append(1))
    supervising.discovery.take_in(set(), ["t-1"])
    supervising.pool.all = []
    assert supervising.looked_after() == {"plain", "t-1"}
    upkeep.beat()
    assert written == [1]
    assert supervising.looked_after() == {"plain"}
    upkeep.write_later(broker, lambda: written.append(2))  # nothing was left there


def test_a_queue_that_the_modules_define_by_now_is_worked_at_once(supervising: Supervising) -> None:
    supervising.discovery.take_in({"t-1"}, [])
    renewed = Told([supervising.queues.broker_of(name, supervising.store) for name in ("plain", "t-1")])
    supervising.found.tell(renewed)
    assert renewed.orders == []


def test_a_process_that_loads_later_is_told_of_all(supervising: Supervising) -> None:
    supervising.discovery.take_in({"t-1", "t-2"}, [])
    late = Told([supervising.queues.broker_of("plain", supervising.store)])
    supervising.found.tell(late)
    assert [order.name for order in late.orders if isinstance(order, Adopt)] == ["t-1", "t-2"]


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_a_process_that_reads_nothing_keeps_nobody_waiting() -> None:
    with pipe() as (read, write):
        os.set_blocking(write, False)
        child = Child(1, write, -1, [], [])
        orders = [Adopt(n, n, 0, "x" * 100) for n in range(2000)]
        for order in orders:
            child.order(order)
        data = b""
        while len(data) < sum(len(packed(order)) for order in orders):
            data += os.read(read, 1 << 16)
            child.flush()
        assert data == b"".join(map(packed, orders))
