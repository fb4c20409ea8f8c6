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


def test_a_wakeup_for_which_there_were_no_descriptors_goes_quietly() -> None:
    Wakeup.__new__(Wakeup).__del__()
