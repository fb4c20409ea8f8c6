"""Consumers that die, are stopped or live elsewhere: what they hold is found once, and by nobody as long as they live."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.messages import consumer as consumer_module
from tests.support.plain_queue import HOLD, consumers, listed, waiting
from tests.support.proxy import LOSE_REPLY, LOSE_REQUEST, TWICE, Fault, Proxy
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
StartPython = Callable[..., subprocess.Popen[str]]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


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
    queue._store.command("z", "ZADD", keys.consumers(queue.name), 1, consumer)  # its lease has ended long ago
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
    queue._store.command("z", "ZADD", keys.consumers(queue.name), 1, consumer)
    assert queue.get() is None  # ended, but so it looks after an outage too: its holder gets a moment to renew
    assert queue.get(block=True, timeout=30) == "a"


def test_a_consumer_that_was_given_up_goes_on(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("a", "b")
    loop = queue.consume(block=False)
    assert next(loop) == "a"
    [consumer] = consumers(queue)
    client = queue._store.client()  # as put_back does
    client.delete(keys.consuming(queue.name, consumer), keys.consumer(queue.name, consumer))
    client.zrem(keys.consumers(queue.name), consumer)
    client.lpush(queue.key, queue._codec.dumps("a"))
    assert list(loop) == ["a", "b"]
    assert "was given up: a message it held may be consumed twice" in caplog.text
    assert consumers(queue) == []


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


def test_no_presence_file_is_left(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1)
    loop = queue.consume()
    next(loop)
    [consumer] = consumers(queue)
    key = keys.consumer(queue.name, consumer)
    folder = queue._store.command(key, "HGET", key, "folder").decode()
    assert consumer in os.listdir(folder)
    loop.close()
    assert consumer not in os.listdir(folder)
