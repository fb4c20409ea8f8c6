"""The soft time limit, in the main thread and in another."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.tasks.limits import soft_limit


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


def over_the_limit() -> None:
    with soft_limit(0.05, "my.task"):
        spin()


def test_the_main_thread_is_interrupted_even_in_a_sleep() -> None:
    began = time.monotonic()
    with (
        pytest.raises(SoftTimeLimitExceeded, match=r"my.task ran longer than soft_time_limit=0.05 s"),
        soft_limit(0.05, "my.task"),
    ):
        time.sleep(20)
    assert time.monotonic() - began < 10


def test_another_thread_is_interrupted_at_its_next_byte_code() -> None:
    (error,) = in_a_thread(over_the_limit)
    assert type(error).__mro__[1] is SoftTimeLimitExceeded or type(error) is SoftTimeLimitExceeded
    assert str(error) == "my.task ran longer than soft_time_limit=0.05 s"


def test_a_body_in_time_is_left_alone_and_the_alarm_as_it_was() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with soft_limit(60, "x"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_thread_in_time_is_left_alone() -> None:
    def in_time() -> None:
        with soft_limit(60, "x"):
            pass

    assert in_a_thread(in_time) == [None]
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer) and t.is_alive() and not t.finished.is_set()]


def test_the_body_can_catch_it_and_clean_up() -> None:
    seen = []
    with soft_limit(0.05, "x"):
        try:
            spin()
        except SoftTimeLimitExceeded:
            seen.append("cleaned")
    assert seen == ["cleaned"]
