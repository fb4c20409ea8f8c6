"""Queues at several servers, as one worker works with them: how long it waits at one, how many trips it makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.intake import Intake
from hotqueue.tasks.places import MOMENT, Places
from hotqueue.tasks.process import Process
from hotqueue.tasks.worker import Worker
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.waiting import wait_until

pytestmark = pytest.mark.servers("server")
MANY = 20
SLOW = 0.05  # seconds until each reply of the server that is far away


@pytest.fixture
def far(start_redis: Callable[[], RedisServer]) -> Iterator[Proxy]:
    proxy = Proxy(start_redis().url)
    yield proxy
    proxy.close()


def make_worker(queues: list[HotQueue]) -> Worker:
    """Return a worker that has come to all its queues."""
    worker = Process([queue._tasks for queue in queues]).workers[0]
    worker._register()
    wait_until(lambda: all_are_there(worker), 20, "it has registered")
    return worker


def all_are_there(worker: Worker) -> bool:
    worker.hear()
    return all(intake.is_registered and not intake.is_away for intake in worker.intakes)


def look(places: Places, intake: Intake) -> float:
    """Ask a queue; return how long the worker was kept, and take in the answer when it comes."""
    began = time.monotonic()
    assert places.step(intake, 1) is None
    took = time.monotonic() - began
    wait_until(lambda: places.step(intake, 1) is not None, 10, "it answers")
    return took


def test_a_server_that_needs_longer_is_waited_for_once(make_queue: Callable[..., HotQueue], far: Proxy) -> None:
    worker = make_worker([make_queue(), make_queue("far", url=far.url)])
    places = worker._places
    assert places is not None
    far.latency = (SLOW, 0.0)
    try:
        assert look(places, worker.intakes[1]) >= MOMENT
        assert min(look(places, worker.intakes[1]) for _ in range(5)) < MOMENT
    finally:
        far.latency = (0.0, 0.0)
        worker._leave()
