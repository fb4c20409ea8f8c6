"""When a worker of sync tasks fetches.

Asleep: the fetch goes behind the bell, nothing is lost when the sleep ends otherwise, nothing is kept from others. Ahead: large
batches overlap, small ones do not, and nothing stays unsettled when a worker goes to sleep.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hotqueue import HotQueue, keys
from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.worker import bells as bells_module
from hotqueue.tasks.worker import idle as idle_module
from hotqueue.tasks.worker import looking as looking_module
from hotqueue.tasks.worker import worker as worker_module
from hotqueue.tasks.worker.fetching import AHEAD_FROM, QUIET
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def idle(queue: HotQueue) -> Iterator[SyncWorker]:
    """A worker that is stepped by hand."""
    made = _worker(queue)
    yield made
    made._leave()


def _worker(queue: HotQueue, threads: int = 1) -> SyncWorker:
    made = Process([queue._tasks], threads=threads).workers[0]
    assert isinstance(made, SyncWorker)
    made._register()
    made.step(made.subscriptions[0], 1)  # a new server learns the script
    return made


@contextmanager
def asleep(idle: SyncWorker) -> Iterator[None]:
    """Have a worker sleep until the end of the block, or until something wakes it there."""
    subscription: Subscription = idle.subscriptions[0]
    thread = threading.Thread(target=idle._sleep_and_fetch, args=(subscription, 3.0))
    thread.start()
    wait_until(lambda: _waits_in_redis(idle))
    try:
        yield
    finally:
        idle.wake()
        thread.join()


def run(idle: SyncWorker, result: AsyncResult[int]) -> None:
    """Turn a worker until a task has ended."""
    wait_until(lambda: not idle.turn() and result.ready())


def _waits_in_redis(idle: SyncWorker) -> bool:
    connection = next(iter(idle.idle._connections.values())).blocking._connection
    if connection is None or connection._sock is None:
        return False
    address = "{}:{}".format(*connection._sock.getsockname())
    clients = idle.subscriptions[0].registry.store.client().client_list()
    return any((each["addr"], each["cmd"]) == (address, "blpop") for each in clients)


def held(queue: HotQueue, idle: SyncWorker) -> int:
    key = keys.held(queue.name, idle.presence.id)
    return int(queue._store.command(key, "HLEN", key))


@pytest.mark.servers("server")
def test_a_task_is_fetched_in_the_moment_in_which_it_comes(queue: HotQueue, idle: SyncWorker) -> None:
    with asleep(idle):
        result = queue.tasks["double"].delay(4)
        assert held(queue, idle) == 1  # before the worker has said another word
        wait_until(lambda: idle.subscriptions[0].ahead is not None)
    assert idle.turn()
    idle.turn()
    assert result.get(30) == 8


def test_a_task_that_becomes_due_is_promoted_on_time_and_fetched_in_that_moment(queue: HotQueue, idle: SyncWorker) -> None:
    results = [queue.tasks["double"].apply_async((n,), countdown=seconds) for n, seconds in enumerate((0.2, 3600))]
    subscription = idle.subscriptions[0]
    queue._store.command(keys.bell(queue.name), "DEL", keys.bell(queue.name))  # the rings for their coming
    idle.step(subscription, 1)
    assert subscription.due > 0
    idle._sleep_and_fetch(subscription, subscription.until_due())
    assert subscription.ahead is not None
    idle._next_batch(subscription)
    assert [delivery.id for delivery in subscription.unstarted] == [results[0].id]
    assert subscription.due > 3000_000


def test_a_sleep_that_runs_out_looks_for_itself(queue: HotQueue, idle: SyncWorker) -> None:
    subscription = idle.subscriptions[0]
    queue.pause()
    result = queue.tasks["double"].delay(4)
    idle._sleep_and_fetch(subscription, 3.0)  # the bell rings, but nothing is given
    assert not idle.turn()
    queue._store.command(keys.paused(queue.name), "DEL", keys.paused(queue.name))  # and not `resume`, which rings
    idle._sleep_and_fetch(subscription, 0.1)
    assert idle.turn()
    idle.turn()
    assert result.get(30) == 8


@pytest.mark.servers("server")
def test_a_wake_gives_the_fetch_up_and_what_it_brought_is_recovered(queue: HotQueue, idle: SyncWorker) -> None:
    with asleep(idle):
        pass
    assert (idle.subscriptions[0].ahead, idle.subscriptions[0].must_recover) == (None, True)
    assert idle.permits.drain().total() == 0
    result = queue.tasks["double"].delay(4)
    run(idle, result)
    assert result.get(30) == 8


def test_a_fetch_whose_reply_is_lost_is_recovered(queue: HotQueue, idle: SyncWorker) -> None:
    subscription = idle.subscriptions[0]
    result = queue.tasks["double"].delay(4)
    idle._sleep_and_fetch(subscription, 3.0)  # the bell rings already
    assert subscription.ahead is not None
    subscription.ahead.abandon()
    subscription.ahead, subscription.must_recover = None, True
    idle.permits.drain()
    assert held(queue, idle) == 1
    run(idle, result)
    assert result.get(30) == 8
    assert held(queue, idle) == 0


@pytest.mark.servers("server")
def test_a_server_that_forgot_the_scripts_is_told_them(queue: HotQueue, idle: SyncWorker) -> None:
    result = queue.tasks["double"].delay(4)
    queue._store.command("x", "SCRIPT", "FLUSH")
    idle._sleep_and_fetch(idle.subscriptions[0], 3.0)
    assert idle.turn()
    idle.turn()
    assert result.get(30) == 8


@pytest.mark.servers("server")
def test_a_server_that_goes_away_meanwhile_loses_nothing(make_queue: MakeQueue, start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    queue = make_queue(url=server.url)
    definition_of(queue.task(name="double")(sample.double)).by_value = False
    idle = _worker(queue)
    with asleep(idle):
        server.kill()
        wait_until(lambda: idle.subscriptions[0].must_recover)
    assert idle.permits.drain().total() == 0
    server.start()
    result = None
    while result is None:
        try:
            result = queue.tasks["double"].apply_async((4,), task_id="one")
        except ConnectionFailed:
            continue
    run(idle, result)
    assert result.get(30) == 8
    idle._leave()


@pytest.mark.servers("server")
def test_a_full_server_that_refuses_the_fetch_leaves_no_permits(
    make_queue: MakeQueue, start_redis: Callable[..., RedisServer]
) -> None:
    queue = make_queue(url=start_redis().url)
    idle = _worker(queue)
    queue.pause()  # what takes nothing out writes first what it grows by
    queue._store.command("x", "CONFIG", "SET", "maxmemory", "1")
    idle._sleep_and_fetch(idle.subscriptions[0], 0.01)
    assert not idle.turn()
    assert idle.permits.drain().total() == 0
    queue._store.command("x", "CONFIG", "SET", "maxmemory", "0")
    idle._leave()


@pytest.mark.servers("server")
def test_leaving_with_a_task_fetched_asleep_puts_it_back(queue: HotQueue, idle: SyncWorker) -> None:
    with asleep(idle):
        queue.tasks["double"].delay(4)
        wait_until(lambda: idle.subscriptions[0].ahead is not None)
    idle.shared.stop_fetching()
    idle._leave()
    assert (queue.pending(), queue.running()) == (1, 0)
    idle.subscriptions[0].ahead = None
    idle._new_incarnation()
    idle._register()


# --- ahead -----------------------------------------------------------------------------------------------------------


@pytest.mark.servers("server")
def test_a_large_batch_has_the_next_one_fetched_meanwhile(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert worker.turn()
    assert worker.subscriptions[0].ahead is None  # what is left may be for others, who wake up now
    assert worker.turn()
    ahead = worker.subscriptions[0].ahead
    assert ahead is not None
    assert ahead.room >= AHEAD_FROM
    while worker.turn():
        pass
    assert results.get(30) == [2 * n for n in range(600)]


@pytest.mark.servers("server")
def test_a_small_batch_has_not(queue: HotQueue, worker: SyncWorker) -> None:
    queue.tasks["double"].map(range(AHEAD_FROM - 1))
    assert worker.turn()
    assert worker.subscriptions[0].ahead is None


@pytest.mark.servers("server")
@pytest.mark.parametrize("count", [1, AHEAD_FROM, 256, 300, 512])
def test_nothing_stays_unsettled_when_there_is_nothing_more(queue: HotQueue, worker: SyncWorker, count: int) -> None:
    results = queue.tasks["double"].map(range(count))
    while worker.turn():
        pass
    assert (worker.subscriptions[0].unsettled, worker.subscriptions[0].in_hand, worker.subscriptions[0].ahead) == ([], {}, None)
    assert all(result.ready() for result in results)


@pytest.mark.servers("server")
def test_a_fetch_ahead_whose_permits_are_drained_goes_back(queue: HotQueue, worker: SyncWorker) -> None:
    results = queue.tasks["double"].map(range(600))
    assert [worker.turn(), worker.turn()] == [True, True]
    assert worker.permits.drain().total() == worker.subscriptions[0].ahead.room  # type: ignore[union-attr]
    assert worker.turn()  # what the fetch brought is not started, but put back
    assert not worker.subscriptions[0].unstarted
    while worker.turn():
        pass
    assert results.get(30) == [2 * n for n in range(600)]


# --- the first `async def` task of a process -----------------------------------------------------------------------


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have idle workers look only where a bell rang."""
    for module in (worker_module, idle_module, bells_module, looking_module):
        monkeypatch.setattr(module, "LONGEST_SLEEP", 600.0)


async def twice(n: int) -> int:
    return 2 * n


@pytest.mark.usefixtures("never_looks")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_async_task_rings(queue: HotQueue, start: Callable[..., Process], threads: int) -> None:
    """In a process that knows of none: nothing but its call by value says that there are such tasks."""
    process = start(queue, threads=threads)
    wait_until(lambda: queue.submit(sum, [n := 1, 2]).get(40) == n + 2, what="it works")
    assert queue.submit(twice, 4).get(40) == 8
    assert [each.kind for each in process.workers] == ["s"] * threads + ["a"]
    for n in range(5):  # and its sync workers leave those rings to the worker that is for them
        assert queue.submit(twice, n).get(40) == 2 * n
        assert queue.submit(sum, [n, 1]).get(40) == n + 1


@pytest.mark.usefixtures("never_looks")
@pytest.mark.servers("embedded", "server")
def test_the_first_async_task_rings_at_any_of_few_queues(make_queue: MakeQueue, start: Callable[..., Process]) -> None:
    queues = [make_queue(f"few-{n}") for n in range(3)]
    share_stores([each._tasks for each in queues])
    process = start(*queues)
    assert queues[1].submit(sum, [1, 2]).get(40) == 3
    assert queues[2].submit(twice, 4).get(40) == 8
    assert [each.kind for each in process.workers] == ["s", "a"]
    assert queues[0].submit(sum, [1, 2]).get(40) == 3


@pytest.mark.usefixtures("never_looks")
def test_the_first_async_task_rings_whatever_makes_it_ready(queue: HotQueue, start: Callable[..., Process]) -> None:
    start(queue)
    task = queue.task(twice)
    assert task.apply_async((4,), countdown=0.3).get(40) == 8


@pytest.mark.servers("server")
def test_whoever_has_something_to_do_listens_to_its_own_bell_alone(queue: HotQueue, idle: SyncWorker) -> None:
    """A sleep that follows upon a task costs what it did before there were others to listen for."""
    assert idle.until_quiet(3.0) == 3.0
    assert len(idle.idle._of[0][1].queues) == 2
    run(idle, queue.tasks["double"].delay(2))
    assert 0 < idle.until_quiet(3.0) <= QUIET
    assert [bytes(bell) for bell in idle.idle._of[0][1].queues] == [keys.raw(queue._tasks.broker.bell_key("s"))]


@pytest.mark.servers("server")
def test_a_ring_for_async_tasks_that_came_to_another_is_passed_on(queue: HotQueue, idle: SyncWorker) -> None:
    """Who listened for them too may be given one when the worker that it is for has begun."""
    broker = queue._tasks.broker
    assert idle.until_quiet(3.0) == 3.0
    queue.submit(twice, 4)
    assert queue._store.command(broker.bell_key("a"), "LPOP", broker.bell_key("a")) == b"1"
    idle.pass_ring_on(idle.subscriptions[0])
    idle.pass_ring_on(idle.subscriptions[0])  # not again: it listens for its own now
    assert queue._store.command(broker.bell_key("a"), "LLEN", broker.bell_key("a")) == 1
    assert not idle.idle.hears("a")
    queue.purge()
