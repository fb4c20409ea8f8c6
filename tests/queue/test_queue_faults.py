"""put, get, len, clear when Redis does not answer, refuses, is full or holds something else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotqueue import ConfigError, ConnectionFailed, HotQueue, QueueFull
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


@pytest.fixture
def proxy(store_url: str) -> Iterator[Proxy]:
    """A proxy in front of the store, which must be a stand-alone server."""
    running = Proxy(store_url)
    yield running
    running.close()


@only_server
def test_a_put_whose_reply_was_lost_is_told_and_never_doubled(make_queue: MakeQueue, proxy: Proxy) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    proxy.lose_reply(b"RPUSH")
    with pytest.raises(ConnectionFailed, match=r"put on hotqueue:.* whether it was carried out is unknown") as info:
        queue.put("once")
    assert info.value.sent
    assert (proxy.pending, len(direct), direct.get()) == (0, 1, "once")


@only_server
def test_a_bounded_put_whose_reply_was_lost_is_never_doubled(make_queue: MakeQueue, proxy: Proxy) -> None:
    queue, direct = make_queue(url=proxy.url, max_queue_length=9), make_queue()
    queue.put("first")
    proxy.lose_reply(b"EVALSHA")
    with pytest.raises(ConnectionFailed, match="is unknown"):
        queue.put("once")
    assert [direct.get() for _ in range(3)] == ["first", "once", None]


@only_server
@pytest.mark.parametrize("block", [False, True])
def test_a_get_whose_reply_was_lost_says_that_a_message_may_be(make_queue: MakeQueue, proxy: Proxy, block: bool) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    direct.put("lost", "kept")
    proxy.lose_reply(b"LPOP")
    with pytest.raises(ConnectionFailed, match="one message may have been taken from hotqueue:") as info:
        queue.get(block=block)
    assert info.value.sent
    assert (queue.get(), len(direct)) == ("kept", 0)


@only_server
def test_a_waiting_get_whose_reply_was_lost_says_so_too(make_queue: MakeQueue, proxy: Proxy) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    proxy.lose_reply(b"BLPOP")
    with ThreadPoolExecutor() as threads:
        got = threads.submit(queue.get, block=True)
        wait_until(lambda: not proxy.pending)
        direct.put("lost")
        with pytest.raises(ConnectionFailed, match="one message may have been taken"):
            got.result(10)
    assert len(direct) == 0


@only_server
def test_len_and_clear_are_repeated_after_a_lost_reply(make_queue: MakeQueue, proxy: Proxy) -> None:
    queue = make_queue(url=proxy.url)
    queue.put(1)
    proxy.lose_reply(b"LLEN")
    assert len(queue) == 1
    proxy.lose_reply(b"UNLINK")
    queue.clear()
    assert (proxy.pending, len(queue)) == (0, 0)


def test_a_put_waits_for_a_server_that_is_starting(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("q", url=server.url) as queue, ThreadPoolExecutor() as threads:
        queue.put("before")
        server.kill()
        put = threads.submit(queue.put, "after")
        wait_until(put.running)
        server.start()
        assert put.result(10) is None
        assert [queue.get(), queue.get()] == ["after", None]


def test_an_idle_connection_that_the_server_closed_is_noticed(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("q", url=server.url) as queue:
        queue.put("before")
        assert queue.get(block=True, timeout=1) == "before"
        assert queue.get(block=True, timeout=0.1) is None
        server.kill()
        server.start()
        queue.put("after")
        assert queue.get(block=True, timeout=1) == "after"
        assert queue.get(block=True, timeout=0.1) is None


def test_no_server_is_an_error_within_seconds() -> None:
    queue = HotQueue("q", url="redis://127.0.0.1:1/0")
    start = time.monotonic()
    with pytest.raises(ConnectionFailed, match=r"redis://127\.0\.0\.1:1/0 failed: .*refused.*; nothing was sent") as info:
        queue.put(1)
    assert not info.value.sent
    assert time.monotonic() - start < allowed(9)


def test_a_wrong_password_fails_at_once(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "right")
    start = time.monotonic()
    for password in ("wrong", None):
        queue = HotQueue("q", host="127.0.0.1", port=server.port, password=password)
        with pytest.raises(ConnectionFailed, match="check the user name, the password"):
            queue.put(1)
    assert time.monotonic() - start < allowed(2)
    with HotQueue("q", host="127.0.0.1", port=server.port, password="right") as queue:
        queue.put(1)
        assert queue.get() == 1


def test_a_full_server_refuses_a_put_and_gives_out_the_rest(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("q", url=server.url) as queue:
        queue.put("x" * 100_000, "y")
        server.client().config_set("maxmemory", "1mb")
        with pytest.raises(QueueFull, match="the server has reached maxmemory"):
            queue.put("z")
        assert [len(queue.get()), queue.get(), queue.get(block=True, timeout=0.1)] == [100_000, "y", None]


@only_embedded
def test_a_key_of_another_type_is_refused_and_kept(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue._store.command(queue.key, "SET", queue.key, "not a list")
    for use in (lambda: queue.put(1), queue.get, lambda: queue.get(block=True), lambda: len(queue)):
        with pytest.raises(ConfigError, match="another type of value"):
            use()
    assert queue._store.command(queue.key, "GET", queue.key) == b"not a list"
