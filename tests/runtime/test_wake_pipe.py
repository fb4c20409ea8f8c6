"""Waiting for descriptors, also beyond the 1,024 that select() can see."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
import time
from collections.abc import Iterator

import pytest

from hotqueue.runtime.wake_pipe import Wakeup, readable


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_high_descriptor_is_seen(many_files: None) -> None:
    low, write = os.pipe()
    high = fcntl.fcntl(low, fcntl.F_DUPFD, 2000)
    try:
        assert readable([high], 0) == []
        os.write(write, b"x")
        assert readable([high], 5) == [high]
    finally:
        for descriptor in (low, write, high):
            os.close(descriptor)


def test_an_end_is_readable_and_silence_takes_its_time() -> None:
    read, write = os.pipe()
    before = time.monotonic()
    assert readable([read], 0.05) == []
    assert time.monotonic() - before >= 0.04
    os.close(write)
    assert readable([read], 5) == [read]
    os.close(read)


def test_a_wakeup_ends_a_wait_of_another_thread_and_the_next_one_once() -> None:
    wakeup = Wakeup()
    threading.Timer(0.05, wakeup.wake).start()
    assert readable([wakeup.fileno()], 5) == [wakeup.fileno()]
    wakeup.clear()
    assert readable([wakeup.fileno()], 0) == []
    for _ in range(70_000):  # more than a pipe holds
        wakeup.wake()
    assert readable([wakeup.fileno()], 0) == [wakeup.fileno()]


def test_one_that_was_closed_wakes_nobody_who_has_its_numbers_now() -> None:
    wakeup = Wakeup()
    numbers = range(wakeup.fileno(), wakeup.fileno() + 64)
    wakeup.close()
    wakeup.close()
    pipes = [os.pipe() for _ in range(8)]
    assert any(write in numbers for _, write in pipes)
    wakeup.wake()
    assert readable([read for read, _ in pipes], 0) == []
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


def test_it_may_be_closed_while_others_wake_it() -> None:
    """Whoever came too late writes into nothing: not into what was opened just then."""
    for _ in range(200):
        wakeup, start = Wakeup(), threading.Barrier(2)
        waking = threading.Thread(target=lambda: (start.wait(), [wakeup.wake() for _ in range(20)]))  # noqa: B023
        waking.start()
        start.wait()
        wakeup.close()
        read, write = os.pipe()
        waking.join()
        assert readable([read], 0) == []
        os.close(read)
        os.close(write)


def test_a_wakeup_for_which_there_were_no_descriptors_goes_quietly() -> None:
    Wakeup.__new__(Wakeup).__del__()
