"""consume when things fail: killed, stopped and distant holders, lost and doubled requests, outages, bad messages."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import Any

import pytest

from hotqueue import ConfigError, ConnectionFailed, HotQueue, keys
from hotqueue.messages import consumer as consumer_module
from hotqueue.messages import local
from tests.support.plain_queue import HOLD, consumers, listed, waiting
from tests.support.processes import run_python
from tests.support.proxy import DELAY, LOSE_REPLY, LOSE_REQUEST, TWICE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
StartPython = Callable[..., subprocess.Popen[str]]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


@pytest.fixture
def hold(start_python: StartPython, queue_name: str, store_url: str) -> Callable[..., subprocess.Popen[str]]:
    """``hold()`` → a process that consumes the queue and holds its first message."""

    def start(code: str = HOLD, first: str = "got") -> subprocess.Popen[str]:
        process = start_python(code, queue_name, store_url)
        assert process.stdout
        assert process.stdout.readline().startswith(first), process.communicate()
        return process

    return start


@pytest.fixture
def proxy(store_url: str) -> Iterator[Proxy]:
    """A proxy in front of the store, which must be a stand-alone server."""
    running = Proxy(store_url)
    yield running
    running.close()


# --- holders that die ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finder", ["get", "blocking get", "consume"])
def test_a_killed_holders_message_is_found_at_once(make_queue: MakeQueue, hold: Any, finder: str) -> None:
    queue = make_queue()
    queue.put("a", "b")
    process = hold()
    assert waiting(queue) == ["b"]
    process.kill()
    process.wait()
    start = time.monotonic()
    if finder == "consume":
        assert list(queue.consume(block=False)) == ["a", "b"]  # back at the head
    else:
        assert queue.get() == "b"
        assert queue.get(block=finder == "blocking get") == "a"
    assert time.monotonic() - start < allowed(1)
    assert consumers(queue) == []


@only_embedded
def test_a_waiting_consumer_finds_a_killed_holders_message(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a")
    process = hold()
    with ThreadPoolExecutor() as threads:
        got = threads.submit(next, queue.consume())
        wait_until(lambda: len(consumers(queue)) == 2)
        process.kill()
        assert got.result(5) == "a"


@only_embedded
def test_a_busy_consumer_finds_a_killed_holders_message(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a")
    hold().kill()
    queue.put("filling")
    for message in queue.consume():
        if message == "a":
            break
        queue.put(message)  # never idle
    assert waiting(queue) == ["a", "filling"]


@only_embedded
def test_a_killed_zombie_is_dead(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a")
    process = hold()
    process.kill()  # nobody waits for it
    assert wait_until(queue.get) == "a"


@only_embedded
def test_a_stopped_holder_keeps_its_message(make_queue: MakeQueue, hold: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "GRACE", 0.1)
    queue = make_queue()
    queue.put("a")
    process = hold()
    process.send_signal(signal.SIGSTOP)
    [consumer] = consumers(queue)
    queue.store.command("z", "ZADD", keys.consumers(queue.name), 1, consumer)  # its lease has ended long ago
    assert queue.get(block=True, timeout=0.3) is None
    process.send_signal(signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    wait_until(lambda: listed(queue, f"consuming:{consumer}") == [])
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""


@only_embedded
def test_a_message_that_kills_five_times_is_dead(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("bad", "good")
    for _ in range(5):
        process = hold()
        process.kill()
        process.wait()
    assert [queue.get(), queue.get()] == ["good", None]
    assert listed(queue, "dead-messages") == ["bad"]


@only_server
def test_a_holder_elsewhere_is_dead_when_its_lease_has_ended(
    make_queue: MakeQueue, hold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "GRACE", 0.2)
    monkeypatch.setattr(consumer_module, "JUMP_GRACE", 0.2)  # to who looks, a lease that ends at once is a clock put ahead
    queue = make_queue()
    queue.put("a")
    process = hold("import hotqueue.presence as p; p.folder = lambda: ''\n" + HOLD)  # as on a host that we cannot see
    process.kill()
    process.wait()
    [consumer] = consumers(queue)
    assert queue.get(block=True, timeout=0.5) is None
    queue.store.command("z", "ZADD", keys.consumers(queue.name), 1, consumer)
    assert queue.get() is None  # ended, but so it looks after an outage too: its holder gets a moment to renew
    assert queue.get(block=True, timeout=5) == "a"


@only_embedded
def test_a_lease_is_renewed_as_long_as_the_loop_lives(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "RENEWAL", 0.05)
    queue = make_queue()
    queue.put(1)
    loop = queue.consume()
    next(loop)
    [consumer] = consumers(queue)
    key = keys.consumers(queue.name)

    def lease() -> float:
        return float(queue.store.command(key, "ZSCORE", key, consumer))

    first = lease()
    wait_until(lambda: lease() > first)
    loop.close()
    wait_until(lambda: not any(queue.name in thread.name for thread in threading.enumerate()))


def test_a_consumer_that_was_given_up_goes_on(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("a", "b")
    loop = queue.consume(block=False)
    assert next(loop) == "a"
    [consumer] = consumers(queue)
    client = queue.store.client()  # as put_back does
    client.delete(keys.consuming(queue.name, consumer), keys.consumer(queue.name, consumer))
    client.zrem(keys.consumers(queue.name), consumer)
    client.lpush(queue.key, queue._codec.dumps("a"))
    assert list(loop) == ["a", "b"]
    assert "was given up: a message it held may be consumed twice" in caplog.text
    assert consumers(queue) == []


@only_embedded
def test_a_forked_child_holds_nothing_of_its_parents(queue_name: str, store_url: str) -> None:
    code = """
        import os, sys
        from hotqueue import HotQueue
        queue = HotQueue(sys.argv[1], url=sys.argv[2])
        queue.put("a", "b", "c")
        loop = queue.consume(block=False)
        assert next(loop) == "a"
        if not (child := os.fork()):
            assert next(loop) == "b"  # it goes on as a consumer of its own; a stays the parent's
            loop.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        if not (child := os.fork()):
            loop.close()  # as the end of the child would
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(queue) == 2, len(queue)
        assert list(loop) == ["b", "c"]
    """
    run_python(dedent(code), queue_name, store_url)


# --- messages and servers that fail ----------------------------------------------------------------------------------


def test_what_cannot_be_loaded_does_not_stop_the_loop(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("a")
    queue.store.command(queue.key, "RPUSH", queue.key, b"junk", b"")
    queue.put("b")
    assert list(queue.consume(block=False)) == ["a", "b"]
    key = keys.dead_messages(queue.name)
    assert queue.store.command(key, "LRANGE", key, 0, -1) == [b"junk", b""]
    assert [r.levelname for r in caplog.records if "cannot be loaded by pickle" in r.message] == ["ERROR", "ERROR"]


@only_server
@pytest.mark.parametrize("harm", [LOSE_REPLY, LOSE_REQUEST, TWICE])
def test_a_turn_that_is_lost_or_doubled_loses_and_doubles_nothing(make_queue: MakeQueue, proxy: Proxy, harm: str) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    direct.put(*["same"] * 5, *range(5))
    got = []
    for message in queue.consume(block=False):
        got.append(message)
        proxy.add(Fault(harm, b"EVALSHA"))
    assert got == [*["same"] * 5, *range(5)]
    assert (proxy.faults[harm], len(direct), consumers(direct)) == (10, 0, [])


@only_server
@pytest.mark.parametrize("mark", [b"EVALSHA", b"BLMOVE"], ids=["a turn", "a wait"])
@pytest.mark.parametrize("how", ["threads", "asyncio"])
def test_a_server_that_stalls_is_not_one_that_is_away(make_queue: MakeQueue, proxy: Proxy, mark: bytes, how: str) -> None:
    """An answer later than we wait for one, from a disk that stalls or a machine under load, ends no loop: it is asked again."""
    queue, direct = make_queue(url=proxy.url), make_queue()
    assert queue.get() is None
    if mark != b"BLMOVE":
        direct.put("x")
    proxy.add(Fault(DELAY, mark, 8))
    got = list(queue.consume(timeout=0.2)) if how == "threads" else asyncio.run(_aconsumed(proxy.url, queue.name))
    assert (got, proxy.faults[DELAY]) == ([] if mark == b"BLMOVE" else ["x"], 1)
    assert (len(direct), consumers(direct)) == (0, [])


async def _aconsumed(url: str, name: str) -> list[object]:
    async with HotQueue(name, url=url) as queue:
        return [message async for message in queue.aconsume(timeout=0.2)]


@only_server
def test_a_lost_reply_on_leaving_loses_and_doubles_nothing(make_queue: MakeQueue, proxy: Proxy) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    direct.put("a", "b")
    for _ in queue.consume():
        proxy.lose_reply(b"EVALSHA")
        break
    assert (proxy.pending, waiting(direct), consumers(direct)) == (0, ["a", "b"], [])


def test_a_loop_goes_on_by_itself_after_a_restart(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hotqueue.queue")
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    got: list[int] = []

    def loop(queue: HotQueue) -> None:
        for message in queue.consume(ack_on_break=True):
            if message == "stop":
                return
            got.append(message)

    with HotQueue("q", url=server.url) as queue, HotQueue("q", url=server.url) as other, ThreadPoolExecutor() as threads:
        done = threads.submit(loop, queue)
        for n in range(3):
            other.put(n)
            wait_until(lambda n=n: got == list(range(n + 1)))
            server.kill()
            wait_until(lambda n=n: caplog.text.count("is interrupted") == n + 1)
            server.start()
            wait_until(lambda n=n: caplog.text.count("goes on after") == n + 1, 2)  # consuming again within 2 s
        other.put("stop")
        done.result(10)
        assert (len(other), consumers(other)) == (0, [])
    assert [r.levelname for r in caplog.records if "interrupted" in r.message] == ["WARNING"] * 3  # one line an outage


def test_a_loop_that_would_end_anyway_gives_up_after_a_while() -> None:
    queue = HotQueue("q", url="redis://127.0.0.1:1/0")
    start = time.monotonic()
    with pytest.raises(ConnectionFailed, match="refused"):
        next(queue.consume(timeout=0.1))
    assert time.monotonic() - start < allowed(7)


def test_a_full_server_can_be_drained(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with HotQueue("q", url=server.url) as queue:
        queue.put("x" * 100_000, "y", "z")
        server.client().config_set("maxmemory", "1mb")
        assert [str(message)[:1] for message in queue.consume(timeout=0.5)] == ["x", "y", "z"]
        assert consumers(queue) == []
        assert len(queue) == 0


@only_embedded
def test_consuming_a_key_of_another_type_is_refused(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.store.command(queue.key, "SET", queue.key, "not a list")
    with pytest.raises(ConfigError, match="another type of value"):
        next(queue.consume())
    assert consumers(queue) == []


def test_no_presence_file_is_left(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1)
    loop = queue.consume()
    next(loop)
    [consumer] = consumers(queue)
    key = keys.consumer(queue.name, consumer)
    folder = queue.store.command(key, "HGET", key, "folder").decode()
    assert consumer in os.listdir(folder)
    loop.close()
    assert consumer not in os.listdir(folder)
