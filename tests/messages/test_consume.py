"""consume and @queue.worker: held messages, every way of leaving the loop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.plain_queue import HOLD, consumers, listed, waiting
from tests.support.proxy import Proxy
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


def test_an_unknown_option_of_a_worker_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="unknown option 'timout'; did you mean 'timeout'"):
        HotQueue("q", url="redis://h").worker(timout=1)  # type: ignore[call-overload]
