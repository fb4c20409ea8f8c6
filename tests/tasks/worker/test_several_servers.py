"""Queues at several servers, as one worker works with them: how long it waits at one, how many trips it makes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.loading import share_stores
from hotqueue.tasks.worker.process import Process
from hotqueue.tasks.worker.several_servers import MOMENT, Places
from hotqueue.tasks.worker.subscription import Subscription
from hotqueue.tasks.worker.worker import Worker
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
MANY = 20
SLOW = 0.05  # seconds until each reply of the server that is far away


@pytest.fixture
def far(start_redis: Callable[[], RedisServer]) -> Iterator[Proxy]:
    proxy = Proxy(start_redis().url)
    yield proxy
    proxy.close()


def make_process(queues: list[HotQueue]) -> Process:
    registries = [queue._tasks for queue in queues]
    share_stores(registries)
    return Process(registries)


def make_worker(queues: list[HotQueue]) -> Worker:
    """Return a worker that has come to all its queues."""
    worker = make_process(queues).workers[0]
    worker._register()
    wait_until(lambda: all_are_there(worker), what="it has registered")
    return worker


def all_are_there(worker: Worker) -> bool:
    worker.note_rings()
    return all(subscription.is_registered and not subscription.is_away for subscription in worker.subscriptions)


def look(places: Places, subscription: Subscription) -> float:
    """Ask a queue; return how long the worker was kept, and take in the answer when it comes."""
    began = time.monotonic()
    assert places.step(subscription, 1) is None
    took = time.monotonic() - began
    wait_until(lambda: places.step(subscription, 1) is not None, what="it answers")
    return took


def test_a_server_that_needs_longer_is_waited_for_once(make_queue: Callable[..., HotQueue], far: Proxy) -> None:
    worker = make_worker([make_queue(), make_queue("far", url=far.url)])
    places = worker._places
    assert places is not None
    far.latency = (SLOW, 0.0)
    try:
        assert look(places, worker.subscriptions[1]) >= MOMENT
        assert min(look(places, worker.subscriptions[1]) for _ in range(5)) < MOMENT
    finally:
        far.latency = (0.0, 0.0)
        worker._leave()


def test_a_ring_that_comes_before_the_answer_to_a_fetch_is_heeded_behind_it(
    make_queue: Callable[..., HotQueue], far: Proxy
) -> None:
    away = make_queue("far", url=far.url)
    worker = make_worker([make_queue(), away])
    places, subscription = worker._places, worker.subscriptions[1]
    assert places is not None
    far.latency = (SLOW, 0.0)
    try:
        look(places, subscription)  # from now on the server has the script
        away.submit(abs, -1)
        assert places.step(subscription, 1) is None  # carried out, and its answer is on the way
        assert subscription.ahead is not None
        away.submit(abs, -2)  # too late for it
        worker.idle.rang.add(1)
        worker.note_rings()
        wait_until(lambda: places.step(subscription, 1) is not None, what="it answers")
        assert (len(subscription.unstarted), subscription.may_have_tasks) == (1, True)
        wait_until(lambda: places.step(subscription, 1) is not None, what="it answers")
        assert (len(subscription.unstarted), subscription.may_have_tasks) == (2, False)
    finally:
        far.latency = (0.0, 0.0)
        worker._leave()


def trips_of(worker: Worker, far: Proxy, do: Callable[[], object]) -> int:
    """Return how often something was sent to the server that is far away until all is done."""
    before = far.requests
    do()
    wait_until(lambda: all_are_there(worker), what="it is there")
    return far.requests - before


def test_many_queues_of_a_server_take_no_more_trips_than_two(make_queue: Callable[..., HotQueue], far: Proxy) -> None:
    near = make_queue()
    begun, recovered = [], []
    for count in (2, MANY):
        queues = [near, *(make_queue(f"far-{count}-{n}", url=far.url) for n in range(count))]
        worker = make_process(queues).workers[0]
        begun.append(trips_of(worker, far, worker._register))
        recovered.append(trips_of(worker, far, lambda worker=worker: recover(worker)))  # type: ignore[misc]
        worker._leave()
    assert begun[1] <= begun[0]
    assert recovered[1] <= recovered[0] + 1  # ten at a time


def recover(worker: Worker) -> None:
    """Have a worker find out what it holds at all queues but the first."""
    worker.idle.broken.update(dict.fromkeys(range(1, len(worker.subscriptions))))
    worker.note_rings()


def hold(folder: str) -> None:
    """Run until a file `end` is there."""
    Path(folder, "begun").touch()
    wait_until(lambda: Path(folder, "end").exists(), what="it may end")


def test_a_ring_that_comes_while_it_works_is_given_to_others(
    make_queue: Callable[..., HotQueue], far: Proxy, tmp_path: Path
) -> None:
    near, away = make_queue(), make_queue("far", url=far.url)
    task = away.task(name="hold", ignore_result=True)(hold)
    process = make_process([near, away])
    worker = process.workers[0]
    thread = threading.Thread(target=process.run)
    thread.start()
    another = near._tasks.broker.blocking(30)
    try:
        wait_until(lambda: all(line.awaits_reply for line in worker.idle._connections.values()), what="it sleeps at both bells")
        task.delay(str(tmp_path))
        wait_until(lambda: (tmp_path / "begun").exists(), what="it works")
        another.send("BLPOP", near._tasks.broker.bell_key("s"), 30)
        near._tasks.broker.ring("s")  # for the worker: it has slept there longer
        assert another._connection.can_read(timeout=5)
    finally:
        (tmp_path / "end").touch()
        another.close()
        process.stop_fetching()
        thread.join()
