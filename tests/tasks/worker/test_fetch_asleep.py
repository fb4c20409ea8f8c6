"""Fetching asleep: the fetch goes behind the bell, nothing is lost when the sleep ends otherwise, nothing is kept from others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hotqueue import HotQueue, keys
from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.sync_worker import SyncWorker
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def worker(queue: HotQueue) -> Iterator[SyncWorker]:
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
def asleep(worker: SyncWorker) -> Iterator[None]:
    """Have a worker sleep until the end of the block, or until something wakes it there."""
    subscription: Subscription = worker.subscriptions[0]
    thread = threading.Thread(target=worker._sleep_and_fetch, args=(subscription, 3.0))
    thread.start()
    wait_until(lambda: _waits_in_redis(worker))
    try:
        yield
    finally:
        worker.wake()
        thread.join()


def run(worker: SyncWorker, result: AsyncResult[int]) -> None:
    """Turn a worker until a task has ended."""
    wait_until(lambda: not worker.turn() and result.ready())


def _waits_in_redis(worker: SyncWorker) -> bool:
    connection = worker.bell._lines[0].blocking._connection
    if connection is None or connection._sock is None:
        return False
    address = "{}:{}".format(*connection._sock.getsockname())
    clients = worker.subscriptions[0].registry.store.client().client_list()
    return any((each["addr"], each["cmd"]) == (address, "blpop") for each in clients)


def held(queue: HotQueue, worker: SyncWorker) -> int:
    key = keys.held(queue.name, worker.presence.id)
    return int(queue.store.command(key, "HLEN", key))


@pytest.mark.servers("server")
def test_a_task_is_fetched_in_the_moment_in_which_it_comes(queue: HotQueue, worker: SyncWorker) -> None:
    with asleep(worker):
        result = queue.tasks["double"].delay(4)
        assert held(queue, worker) == 1  # before the worker has said another word
        wait_until(lambda: worker.subscriptions[0].ahead is not None)
    assert worker.turn()
    worker.turn()
    assert result.get(30) == 8


def test_a_sleep_that_runs_out_looks_for_itself(queue: HotQueue, worker: SyncWorker) -> None:
    subscription = worker.subscriptions[0]
    queue.pause()
    result = queue.tasks["double"].delay(4)
    worker._sleep_and_fetch(subscription, 3.0)  # the bell rings, but nothing is given
    assert not worker.turn()
    queue.store.command(keys.paused(queue.name), "DEL", keys.paused(queue.name))  # and not `resume`, which rings
    worker._sleep_and_fetch(subscription, 0.1)
    assert worker.turn()
    worker.turn()
    assert result.get(30) == 8


@pytest.mark.servers("server")
def test_a_wake_gives_the_fetch_up_and_what_it_brought_is_recovered(queue: HotQueue, worker: SyncWorker) -> None:
    with asleep(worker):
        pass
    assert (worker.subscriptions[0].ahead, worker.subscriptions[0].must_recover) == (None, True)
    assert worker.permits.drain().total() == 0
    result = queue.tasks["double"].delay(4)
    run(worker, result)
    assert result.get(30) == 8


def test_a_fetch_whose_reply_is_lost_is_recovered(queue: HotQueue, worker: SyncWorker) -> None:
    subscription = worker.subscriptions[0]
    result = queue.tasks["double"].delay(4)
    worker._sleep_and_fetch(subscription, 3.0)  # the bell rings already
    assert subscription.ahead is not None
    subscription.ahead.abandon()
    subscription.ahead, subscription.must_recover = None, True
    worker.permits.drain()
    assert held(queue, worker) == 1
    run(worker, result)
    assert result.get(30) == 8
    assert held(queue, worker) == 0


@pytest.mark.servers("server")
def test_a_server_that_forgot_the_scripts_is_told_them(queue: HotQueue, worker: SyncWorker) -> None:
    result = queue.tasks["double"].delay(4)
    queue.store.command("x", "SCRIPT", "FLUSH")
    worker._sleep_and_fetch(worker.subscriptions[0], 3.0)
    assert worker.turn()
    worker.turn()
    assert result.get(30) == 8


@pytest.mark.servers("server")
def test_a_server_that_goes_away_meanwhile_loses_nothing(make_queue: MakeQueue, start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    queue = make_queue(url=server.url)
    queue.task(name="double")(sample.double)._by_value = False
    worker = _worker(queue)
    with asleep(worker):
        server.kill()
        wait_until(lambda: worker.subscriptions[0].must_recover)
    assert worker.permits.drain().total() == 0
    server.start()
    result = None
    while result is None:
        try:
            result = queue.tasks["double"].apply_async((4,), task_id="one")
        except ConnectionFailed:
            continue
    run(worker, result)
    assert result.get(30) == 8
    worker._leave()


@pytest.mark.servers("server")
def test_a_full_server_that_refuses_the_fetch_leaves_no_permits(
    make_queue: MakeQueue, start_redis: Callable[..., RedisServer]
) -> None:
    queue = make_queue(url=start_redis().url)
    worker = _worker(queue)
    queue.pause()  # what takes nothing out writes first what it grows by
    queue.store.command("x", "CONFIG", "SET", "maxmemory", "1")
    worker._sleep_and_fetch(worker.subscriptions[0], 0.01)
    assert not worker.turn()
    assert worker.permits.drain().total() == 0
    queue.store.command("x", "CONFIG", "SET", "maxmemory", "0")
    worker._leave()


@pytest.mark.servers("server")
def test_leaving_with_a_task_fetched_asleep_puts_it_back(queue: HotQueue, worker: SyncWorker) -> None:
    with asleep(worker):
        queue.tasks["double"].delay(4)
        wait_until(lambda: worker.subscriptions[0].ahead is not None)
    worker.shared.stop_fetching()
    worker._leave()
    assert (queue.pending(), queue.running()) == (1, 0)
    worker.subscriptions[0].ahead = None
    worker._new_incarnation()
    worker._register()
