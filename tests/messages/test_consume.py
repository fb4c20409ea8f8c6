"""consume and @queue.worker: held messages, every way of leaving the loop, outages and bad messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotqueue import ConfigError, ConnectionFailed, HotQueue, keys
from tests.support.plain_queue import HOLD, consumers, listed, waiting
from tests.support.proxy import DELAY, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

MakeQueue = Callable[..., HotQueue]
StartPython = Callable[..., subprocess.Popen[str]]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")


# --- the loop --------------------------------------------------------------------------------------------------------


def test_consume_ends_when_there_is_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1, None, 3)
    assert list(queue.consume(block=False)) == [1, None, 3]
    assert list(queue.consume(timeout=0)) == []
    assert consumers(queue) == []


@only_embedded
def test_consume_ends_when_nothing_came_in_time(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(1)
    start = time.monotonic()
    assert list(queue.consume(timeout=0.3)) == [1]
    assert 0.3 <= time.monotonic() - start < allowed(2)


def test_consume_waits_for_messages(make_queue: MakeQueue) -> None:
    queue, other = make_queue(), make_queue()
    with ThreadPoolExecutor() as threads:
        got = threads.submit(next, queue.consume())
        wait_until(lambda: consumers(other))
        other.put("late")
        assert got.result(10) == "late"


def test_a_message_is_held_until_the_next_turn(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a", "b")
    loop = queue.consume(block=False)
    assert next(loop) == "a"
    [consumer] = consumers(queue)
    assert (listed(queue, f"consuming:{consumer}"), waiting(queue)) == (["a"], ["b"])
    assert next(loop) == "b"
    assert (listed(queue, f"consuming:{consumer}"), waiting(queue)) == (["b"], [])
    assert list(loop) == []
    assert (listed(queue, f"consuming:{consumer}"), consumers(queue)) == ([], [])


@only_server
def test_consuming_is_one_round_trip_a_message(make_queue: MakeQueue, proxy: Proxy) -> None:
    direct, queue = make_queue(), make_queue(url=proxy.url)
    direct.put(*range(100))
    assert len(list(queue.consume(block=False))) == 100
    assert proxy.requests <= 100 + 10


def test_threads_share_the_messages(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(*range(200))
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda _: list(queue.consume(block=False)), range(4)))
    assert sorted(message for part in parts for message in part) == list(range(200))


# --- leaving it ------------------------------------------------------------------------------------------------------

LEAVE: dict[str, Callable[[], Any]] = {"exception": ValueError, "Ctrl-C": KeyboardInterrupt, "exit": SystemExit}


@only_embedded
def test_break_gives_the_message_back_uncharged(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a", "b")
    for _ in range(7):
        for message in queue.consume():
            assert message == "a"
            break
    assert (waiting(queue), listed(queue, "dead-messages"), consumers(queue)) == (["a", "b"], [], [])


@only_embedded
@pytest.mark.parametrize("error", LEAVE.values(), ids=LEAVE)
def test_an_exception_gives_the_message_back_and_propagates(make_queue: MakeQueue, error: type[BaseException]) -> None:
    queue = make_queue()
    queue.put("a", "b")

    def leave() -> None:
        for _ in queue.consume():
            raise error

    for _ in range(7):
        with pytest.raises(error):
            leave()
    assert (waiting(queue), listed(queue, "dead-messages"), consumers(queue)) == (["a", "b"], [], [])


@only_embedded
def test_an_exception_that_closing_shows_is_charged(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("bad", "good")

    def leave() -> None:
        with contextlib.closing(queue.consume()) as loop:
            for _ in loop:
                raise ValueError("no")

    for _ in range(5):
        assert waiting(queue) == ["bad", "good"]
        with pytest.raises(ValueError, match="no"):
            leave()
    assert (waiting(queue), listed(queue, "dead-messages")) == (["good"], ["bad"])
    assert "died or raised 5 times" in caplog.text


@only_embedded
def test_closing_inside_an_except_block_charges_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a")
    for _ in range(6):
        try:
            raise ValueError
        except ValueError:
            with contextlib.closing(queue.consume()) as loop:
                for _ in loop:
                    break
    assert waiting(queue) == ["a"]


@only_embedded
def test_ack_on_break_takes_break_and_return_as_done(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put(*range(4))
    for _ in queue.consume(ack_on_break=True):
        break

    def first() -> Any:
        for message in queue.consume(ack_on_break=True):
            return message
        return None

    assert first() == 1
    with contextlib.suppress(ValueError):
        for _ in queue.consume(ack_on_break=True):
            raise ValueError

    def fail() -> None:
        for _ in queue.consume(ack_on_break=True):
            int("x")

    with pytest.raises(ValueError, match="invalid literal"):
        fail()
    assert waiting(queue) == [2, 3]


def test_ctrl_c_ends_a_waiting_loop_quietly(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a")
    process = hold(HOLD + "print('ended', flush=True)")
    process.stdin.write("\n")
    process.stdin.flush()
    wait_until(lambda: listed(queue, f"consuming:{consumers(queue)[0]}") == [])
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("ended\n", "")
    assert process.returncode == 0
    assert (len(queue), consumers(queue)) == (0, [])


def test_ctrl_c_in_the_body_propagates_and_gives_back(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a", "b")
    process = hold()
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    assert (waiting(queue), consumers(queue)) == (["a", "b"], [])


# --- worker ----------------------------------------------------------------------------------------------------------


@only_embedded
def test_a_worker_gets_each_message_behind_its_own_arguments(make_queue: MakeQueue) -> None:
    queue = make_queue()
    got = []

    class Thing:
        @queue.worker(block=False)
        def take(self, prefix: str, message: int, suffix: str = "") -> None:
            """Take it."""
            got.append((type(self).__name__, prefix, message, suffix))

    queue.put(1, 2)
    Thing().take("p", suffix="s")
    assert got == [("Thing", "p", 1, "s"), ("Thing", "p", 2, "s")]
    assert (Thing.take.__name__, Thing.take.__doc__) == ("take", "Take it.")


@only_embedded
def test_a_worker_that_raises_is_charged_and_a_success_clears_the_count(make_queue: MakeQueue) -> None:
    queue = make_queue()
    failing = True

    @queue.worker(timeout=0)
    def work(message: str) -> None:
        if failing:
            raise ValueError(message)

    def fail(times: int) -> None:
        for _ in range(times):
            with pytest.raises(ValueError, match="same"):
                work()

    queue.put("same")
    fail(4)
    failing = False
    work()
    failing = True
    queue.put("same", "same")
    fail(4)
    assert waiting(queue) == ["same", "same"]
    fail(1)
    assert (waiting(queue), listed(queue, "dead-messages")) == (["same"], ["same"])
    queue.clear()


@only_embedded
def test_ctrl_c_in_a_worker_is_not_charged(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a")

    @queue.worker
    def work(message: str) -> None:
        raise KeyboardInterrupt

    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            work()
    assert (waiting(queue), listed(queue, "dead-messages")) == (["a"], [])


# --- when things fail --------------------------------------------------------------------------------------------------


def test_what_cannot_be_loaded_does_not_stop_the_loop(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.put("a")
    queue._store.command(queue.key, "RPUSH", queue.key, b"junk", b"")
    queue.put("b")
    assert list(queue.consume(block=False)) == ["a", "b"]
    key = keys.dead_messages(queue.name)
    assert queue._store.command(key, "LRANGE", key, 0, -1) == [b"junk", b""]
    assert [r.levelname for r in caplog.records if "cannot be loaded by pickle" in r.message] == ["ERROR", "ERROR"]


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
            wait_until(lambda n=n: caplog.text.count("goes on after") == n + 1)  # consuming again within 2 s
        other.put("stop")
        done.result(10)
        assert (len(other), consumers(other)) == (0, [])
    assert [r.levelname for r in caplog.records if "interrupted" in r.message] == ["WARNING"] * 3  # one line an outage


def test_a_loop_that_would_end_anyway_gives_up_after_a_while() -> None:
    queue = HotQueue("q", url="redis://127.0.0.1:1/0")
    start = time.monotonic()
    with pytest.raises(ConnectionFailed, match="refused"):
        next(queue.consume(timeout=0.1))
    assert time.monotonic() - start < allowed(10)


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
    queue._store.command(queue.key, "SET", queue.key, "not a list")
    with pytest.raises(ConfigError, match="another type of value"):
        next(queue.consume())
    assert consumers(queue) == []


async def _aconsumed(url: str, name: str) -> list[object]:
    async with HotQueue(name, url=url) as queue:
        return [message async for message in queue.aconsume(timeout=0.2)]
