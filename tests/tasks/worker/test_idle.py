"""How an idle worker sleeps until there is something to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.worker.idle import Idle
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def queues(make_queue: MakeQueue, queue_name: str) -> list[HotQueue]:
    return [make_queue(), make_queue(queue_name + "-other")]


@pytest.fixture
def idle(queues: list[HotQueue]) -> Iterator[Idle]:
    made = Idle(dict(enumerate(queue._tasks.broker for queue in queues)), "s")
    yield made
    made.close()


def in_thread(idle: Idle, seconds: float) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []

    def sleep() -> None:
        began = time.monotonic()
        found.extend((idle.wait(seconds), time.monotonic() - began))

    thread = threading.Thread(target=sleep)
    thread.start()
    return thread, found


def is_listening(queue: HotQueue) -> bool:
    return any(c["cmd"] == "blpop" for c in queue._store.client().client_list())


def test_a_ring_at_any_queue_ends_the_sleep(idle: Idle, queues: list[HotQueue]) -> None:
    for queue in queues:
        queue._tasks.broker.ring("s")
        assert idle.wait(5) is True
    assert idle.wait(0.01) is False


def test_only_the_bells_asked_for_end_the_sleep(idle: Idle, queues: list[HotQueue]) -> None:
    queues[0]._tasks.broker.ring("a")
    assert idle.wait(0.01) is False
    idle.listen_to("sa")
    assert idle.wait(5) is True


@pytest.mark.servers("server")
def test_a_ring_comes_through_at_once(idle: Idle, queues: list[HotQueue]) -> None:
    thread, found = in_thread(idle, 3)
    wait_until(lambda: is_listening(queues[0]))
    queues[1]._tasks.broker.ring("s")
    thread.join()
    assert found[0] is True
    assert found[1] < allowed(2.5)


@pytest.mark.servers("server")
def test_a_wake_ends_the_sleep_and_the_ring_that_was_under_way_comes_later(idle: Idle, queues: list[HotQueue]) -> None:
    thread, found = in_thread(idle, 3)
    wait_until(lambda: is_listening(queues[0]))
    idle.wake()
    thread.join()
    assert found[0] is False
    assert found[1] < allowed(2.5)
    queues[0]._tasks.broker.ring("s")
    assert idle.wait_woken(5) is True


def test_a_wake_before_the_sleep_ends_it_too(idle: Idle) -> None:
    for _ in range(100_000 // 64):
        idle.wake()
    began = time.monotonic()
    assert idle.wait_woken(3) is False
    assert time.monotonic() - began < allowed(2)


@pytest.mark.servers("server")
def test_a_broken_connection_is_told_and_made_anew(make_queue: MakeQueue, start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    queue = make_queue(url=server.url)
    idle = Idle({0: queue._tasks.broker}, "s")
    assert idle.wait(0.01) is False
    server.kill()
    with pytest.raises(ConnectionFailed):
        idle.wait(1)
    server.start()
    wait_until(lambda: queue._tasks.broker.ring("s") is None)
    assert idle.wait(5) is True
    idle.close()


def test_what_is_no_bell_is_left_out_and_the_others_end_the_sleep(idle: Idle, queues: list[HotQueue]) -> None:
    key = queues[0]._tasks.broker.bell_key("s")
    queues[0]._store.command(key, "SET", key, "junk")
    try:
        assert idle.wait(5) in (False, True)
        queues[1]._tasks.broker.ring("s")
        wait_until(lambda: idle.wait(1) and 1 in idle.rang)
        assert 0 in idle.rang, "nobody can ring there, so it is asked"
        assert set(idle.wrong) == {0}
    finally:
        queues[0]._store.command(key, "DEL", key)


def test_it_is_known_which_bell_rang(idle: Idle, queues: list[HotQueue]) -> None:
    queues[1]._tasks.broker.ring("s")
    assert idle.wait(5) is True
    assert idle.rang == {1}
