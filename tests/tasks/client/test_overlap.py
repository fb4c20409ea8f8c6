"""The calls of one `map`: a lot is made while the server works at the one before; each is stored once, whatever happens."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue, QueueFull, SerializationError
from hotqueue.tasks.broker.stored_queue import BULK
from tests.support.servers import RedisServer
from tests.tasks import sample


class Items:
    """As many items as are asked for; before the one of a number, something is done."""

    def __init__(self, count: int, **doing: Callable[[], object]) -> None:
        self._count = count
        self._doing = {int(name.removeprefix("at_")): do for name, do in doing.items()}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for n in range(self._count):
            self._doing.get(n, lambda: None)()
            yield n


def test_nobody_waits_for_a_lot_before_the_next_is_made(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue:
        task = queue.task(sample.square)
        task.map(range(2))
        items = Items(
            2 * BULK + 1,
            at_999=lambda: os.kill(server.pid, signal.SIGSTOP),
            at_1999=lambda: os.kill(server.pid, signal.SIGCONT),  # never, if the first lot were waited for
        )
        results = task.map(items)
        assert len({result.id for result in results}) == len(items)
        assert queue.pending() == len(items) + 2


def test_what_comes_from_a_generator_is_waited_for_at_once(start_redis: Callable[..., RedisServer]) -> None:
    """The next item may be a day away: until then it has to be known that those before it were stored."""
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue:
        counts: list[int] = []
        items = Items(BULK + 1, at_1000=lambda: counts.append(queue.pending()))
        queue.task(sample.square).map(iter(items))
        assert counts == [BULK]


@pytest.mark.parametrize("at", [999, 1000, 1500, 2500])
def test_a_connection_that_ends_in_between_loses_and_doubles_nothing(start_redis: Callable[..., RedisServer], at: int) -> None:
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue, server.client() as client:
        task = queue.task(sample.square)
        task.map(range(2))
        results = task.map(Items(3 * BULK, **{f"at_{at}": lambda: client.client_kill_filter(skipme=True, _type="normal")}))
        assert (len(results), queue.pending()) == (3 * BULK, 3 * BULK + 2)


def test_a_server_that_forgot_its_scripts_is_told_them_again(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue, server.client() as client:
        queue.task(sample.square).map(Items(2 * BULK, at_999=client.script_flush, at_1500=client.script_flush))
        assert queue.pending() == 2 * BULK


def test_a_full_server_says_so_and_gets_no_more(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue, server.client() as client:
        with pytest.raises(QueueFull):
            queue.task(sample.square).map(Items(4 * BULK, at_2500=lambda: client.config_set("maxmemory", 1)))
        client.config_set("maxmemory", 0)
        assert queue.pending() in (BULK, 2 * BULK)  # the second was on its way


def test_an_item_that_cannot_travel_leaves_those_before_it_stored(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("overlap", url=server.url) as queue:
        task = queue.task(sample.square)
        with pytest.raises(SerializationError, match=f"item {BULK + 5} of map.*; {BULK:,} calls before it were sent"):
            task.map([*range(BULK + 5), threading.Lock()])
        assert queue.pending() == BULK
        assert len(task.map(range(3))) == 3  # the connection is as it was


def test_inside_a_batch_all_of_it_goes_at_the_end(start_redis: Callable[..., RedisServer]) -> None:
    with HotQueue("overlap", url=start_redis().url) as queue:
        task = queue.task(sample.square)
        with queue.batch():
            task.map(range(2 * BULK + 1))
            assert queue.pending() == 0
        assert queue.pending() == 2 * BULK + 1
