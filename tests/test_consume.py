"""consume and @queue.worker: held messages, every way of leaving the loop, killed and stopped holders, outages."""

from __future__ import annotations

import contextlib
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

from hotqueue import ConfigError, ConnectionFailed, HotQueue, consume, keys
from hotqueue import consumer as consumer_module
from tests.processes import run_python
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
StartPython = Callable[..., subprocess.Popen[str]]
only_server = pytest.mark.servers("server")
only_embedded = pytest.mark.servers("embedded")

# Holds one message until told otherwise. Arguments: queue name, URL.
HOLD = """
import sys
from hotqueue import HotQueue
queue = HotQueue(sys.argv[1], url=sys.argv[2])
for message in queue.consume():
    print("got", message, flush=True)
    sys.stdin.readline()
"""


def listed(queue: HotQueue, thing: str) -> list[Any]:
    """Return what the list `{hotqueue:<name>}:<thing>` holds, loaded."""
    key = f"{{{queue.key}}}:{thing}"
    return [queue._codec.loads(raw) for raw in queue.store.command(key, "LRANGE", key, 0, -1)]


def waiting(queue: HotQueue) -> list[Any]:
    """Return the messages that wait, oldest first."""
    return [queue._codec.loads(raw) for raw in queue.store.command(queue.key, "LRANGE", queue.key, 0, -1)]


def consumers(queue: HotQueue) -> list[str]:
    """Return the ids of the registered consumers."""
    key = keys.consumers(queue.name)
    return [raw.decode() for raw in queue.store.command(key, "ZRANGE", key, 0, -1)]


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
    assert 0.3 <= time.monotonic() - start < 2


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
    assert process.communicate(timeout=10) == ("ended\n", "")
    assert process.returncode == 0
    assert (len(queue), consumers(queue)) == (0, [])


def test_ctrl_c_in_the_body_propagates_and_gives_back(make_queue: MakeQueue, hold: Any) -> None:
    queue = make_queue()
    queue.put("a", "b")
    process = hold()
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=10)[1]
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


def test_an_unknown_option_of_a_worker_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="unknown option 'timout'; did you mean 'timeout'"):
        HotQueue("q", url="redis://h").worker(timout=1)  # type: ignore[call-overload]


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
    assert time.monotonic() - start < 1
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
    assert process.communicate(timeout=10)[1] == ""


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
    monkeypatch.setattr(consume, "RENEWAL", 0.05)
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
@pytest.mark.parametrize("lose", [Proxy.lose_reply, Proxy.lose_request], ids=["reply", "request"])
def test_a_lost_reply_or_request_loses_and_doubles_nothing(make_queue: MakeQueue, proxy: Proxy, lose: Any) -> None:
    queue, direct = make_queue(url=proxy.url), make_queue()
    direct.put(*["same"] * 5, *range(5))
    got = []
    for message in queue.consume(block=False):
        got.append(message)
        lose(proxy, b"EVALSHA")
    assert got == [*["same"] * 5, *range(5)]
    assert (proxy.pending, len(direct), consumers(direct)) == (0, 0, [])


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
    assert time.monotonic() - start < 7


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
