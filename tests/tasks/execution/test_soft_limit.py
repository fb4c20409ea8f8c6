"""The soft time limit, in the main thread and in another."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.tasks.execution import soft_limit as timelimit
from hotqueue.tasks.execution.soft_limit import soft_limit
from tests.support.durations import take_time


def spin() -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pass


def in_a_thread(body: object) -> list[BaseException | None]:
    seen: list[BaseException | None] = []

    def run() -> None:
        try:
            body()  # type: ignore[operator]
        except BaseException as error:
            seen.append(error)
        else:
            seen.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return seen


def takes_long() -> None:
    take_time(20)


def over_the_limit() -> None:
    with soft_limit(0.05, "my.task"):
        spin()


def test_the_main_thread_is_interrupted_even_in_a_sleep() -> None:
    began = time.monotonic()
    with (
        pytest.raises(SoftTimeLimitExceeded, match=r"my.task ran longer than soft_time_limit=0.05 s"),
        soft_limit(0.05, "my.task"),
    ):
        takes_long()
    assert time.monotonic() - began < 10


def test_another_thread_is_interrupted_at_its_next_byte_code() -> None:
    (error,) = in_a_thread(over_the_limit)
    assert type(error).__mro__[1] is SoftTimeLimitExceeded or type(error) is SoftTimeLimitExceeded
    assert str(error) == "my.task ran longer than soft_time_limit=0.05 s"


def test_a_body_in_time_is_left_alone_and_the_signal_as_it_was() -> None:
    before = signal.getsignal(timelimit.SIGNAL)
    with soft_limit(60, "x"):
        pass
    assert signal.getsignal(timelimit.SIGNAL) == before


def test_a_handler_of_the_programs_still_gets_its_signals() -> None:
    heard: list[int] = []
    before = signal.signal(timelimit.SIGNAL, lambda number, _frame: heard.append(number))
    try:
        with soft_limit(60, "x"):
            signal.raise_signal(timelimit.SIGNAL)
        assert heard == [timelimit.SIGNAL]
    finally:
        signal.signal(timelimit.SIGNAL, before)


@pytest.mark.parametrize("way", ["alarm", "setitimer"])
def test_an_alarm_of_the_body_and_the_limit_leave_each_other_alone(way: str) -> None:
    rung: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        with pytest.raises(SoftTimeLimitExceeded), soft_limit(1.5, "x"):  # noqa: PT012
            signal.alarm(1) if way == "alarm" else signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
            takes_long()
        assert rung
        assert (signal.getitimer(signal.ITIMER_REAL) == (0, 0)) is (way == "alarm")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_limits_of_several_threads_pass_each_at_its_time() -> None:
    """One that is past, and that its task does not hear yet, holds up no other."""
    late = threading.Event()

    def swallows() -> None:
        with soft_limit(0.05, "deaf"):
            try:
                spin()
            except SoftTimeLimitExceeded:
                late.wait(20)

    thread = threading.Thread(target=swallows)
    thread.start()
    assert [str(e) for e in in_a_thread(over_the_limit)] == ["my.task ran longer than soft_time_limit=0.05 s"]
    late.set()
    thread.join(20)


def test_a_limit_that_passes_as_the_body_ends_does_not_hit_what_comes_after() -> None:
    def many() -> None:
        for _ in range(300):
            with contextlib.suppress(SoftTimeLimitExceeded), soft_limit(0.001, "x"):
                take_time(0.001)
        for _ in range(1000):
            time.sleep(0)

    assert in_a_thread(many) == [None]
    many()


def test_a_thread_in_time_is_left_alone() -> None:
    def in_time() -> None:
        with soft_limit(60, "x"):
            pass

    assert [in_a_thread(in_time) for _ in range(20)] == [[None]] * 20
    assert len([t for t in threading.enumerate() if t.name == "hotqueue-limits"]) == 1


def test_the_body_can_catch_it_and_clean_up() -> None:
    seen = []
    with soft_limit(0.05, "x"):
        try:
            spin()
        except SoftTimeLimitExceeded:
            seen.append("cleaned")
    assert seen == ["cleaned"]
