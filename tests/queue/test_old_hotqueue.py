"""What the test file of the old hotqueue library expects, on the embedded server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import hotqueue
from hotqueue import HotQueue
from hotqueue.queue import key_for_name
from tests.support.waiting import allowed


class DummySerializer:
    """Deliberately discards messages on dumps."""

    @staticmethod
    def dumps(s: Any) -> str:
        return "foo"

    @staticmethod
    def loads(s: Any) -> Any:
        return s


@pytest.fixture
def queue(tmp_path: Any) -> Iterator[HotQueue]:
    with HotQueue("testqueue", dbfilename=tmp_path / "x.rdb") as opened:
        yield opened
        opened.clear()


def test_arguments(tmp_path: Any) -> None:
    """Keyword arguments go to Redis; name, serializer, redis and max_queue_length are positional."""
    kwargs = {
        "name": "testqueue",
        "serializer": DummySerializer,
        "host": "localhost",
        "port": 6379,
        "db": 0,
    }
    queue = HotQueue(**kwargs)  # type: ignore[arg-type]
    assert queue.name == kwargs["name"]
    assert queue.key == "hotqueue:" + queue.name
    assert queue.serializer is DummySerializer
    assert queue._store.client().connection_pool.connection_kwargs["port"] == 6379
    client = redis.Redis("127.0.0.1", 6399, db=4)
    again = HotQueue("other", DummySerializer, client, 7)
    assert (again.name, again.serializer, again.max_queue_length) == ("other", DummySerializer, 7)
    settings = again._store.client().connection_pool.connection_kwargs
    assert (settings["port"], settings["db"]) == (6399, 4)


def test_consume(queue: HotQueue) -> None:
    nums = [1, 2, 3, 4, 5, 6, 7, 8]
    queue.put(*nums)
    assert list(queue.consume(timeout=1)) == nums
    assert list(queue.consume(block=False)) == []


def test_key_for_name(queue: HotQueue) -> None:
    assert key_for_name("testqueue") == hotqueue.key_for_name("testqueue") == queue.key == "hotqueue:testqueue"


def test_get_and_put_keep_the_order(queue: HotQueue) -> None:
    alphabet = ["abc", "def", "ghi", "jkl", "mno"]
    queue.put(*alphabet)
    assert [queue.get() for _ in alphabet] == alphabet
    for letters in alphabet:
        queue.put(letters)
    assert [queue.get(block=True, timeout=1) for _ in alphabet] == alphabet


def test_length(queue: HotQueue) -> None:
    queue.put(*range(10))
    assert len(queue) == 10
    for _ in range(9):
        queue.get()
    assert len(queue) == 1
    queue.clear()
    assert len(queue) == 0


def test_worker(queue: HotQueue) -> None:
    messages = [0, 1, 2, 3, 4, 5, 6, 7]
    got: list[Any] = []

    @queue.worker(timeout=1)
    def appender(message: Any) -> None:
        got.append(message)

    queue.put(*messages)
    appender()
    assert got == messages


def test_worker_is_never_called_without_a_message(queue: HotQueue) -> None:
    @queue.worker(block=False)
    def fail(message: Any) -> None:
        raise AssertionError

    assert fail() is None


def test_worker_on_methods(queue: HotQueue) -> None:
    class Collector:
        def __init__(self) -> None:
            self.got: list[Any] = []

        @queue.worker(timeout=0.1)
        def take(self, message: Any) -> None:
            self.got.append(message)

        @queue.worker(block=False)
        def take_with(self, factor: int, message: Any) -> None:
            self.got.append(factor * message)

    collector = Collector()
    queue.put(1, 2)
    collector.take()
    queue.put(3)
    collector.take_with(10)
    assert collector.got == [1, 2, 30]


def test_threaded(queue: HotQueue) -> None:
    """Messages put by many threads all come, in the order of each thread."""
    got: list[tuple[int, int]] = []

    def put(thread: int) -> None:
        for n in range(50):
            queue.put((thread, n))

    def take() -> None:
        for message in queue.consume(timeout=1):
            got.append(message)  # noqa: PERF402

    threads = [threading.Thread(target=put, args=(n,)) for n in range(4)] + [threading.Thread(target=take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 200
    for n in range(4):
        assert [number for thread, number in got if thread == n] == list(range(50))


def test_custom_serializer(queue: HotQueue) -> None:
    message = "my message"
    queue.serializer = None
    queue.put(message)
    assert queue.get() == message
    queue.put({"a": 1})
    assert queue.get() == "{'a': 1}"  # a string
    queue.serializer = DummySerializer
    queue.put(message)
    assert queue.get() == "foo"


@pytest.mark.parametrize("use", [HotQueue.get, lambda queue, **o: next(queue.consume(**o), None)], ids=["get", "consume"])
def test_a_timeout_in_whole_seconds(queue: HotQueue, use: Callable[..., Any]) -> None:
    start = time.monotonic()
    assert use(queue, block=True, timeout=1) is None
    assert 1 <= time.monotonic() - start < allowed(3)
