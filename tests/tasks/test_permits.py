"""What a worker shares with its supervisor: the permit pipe, and the table of what runs."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections import Counter

from hotqueue.tasks.permits import ID_BYTES, Permits, Running, read_progress, read_running


def test_a_permit_is_had_once() -> None:
    permits = Permits()
    permits.add(7, 2)
    assert [permits.take(7) for _ in range(3)] == [True, True, False]


def test_a_permit_of_the_next_fetch_is_not_had_for_this_one() -> None:
    permits = Permits()
    permits.add(7, 2)
    permits.drain()  # somebody takes the fetch back while the permits for the next one go in
    permits.add(8, 3)
    assert permits.take(7) is False
    assert permits.drain() == Counter({8: 3})


def test_draining_says_how_many_of_which_fetch() -> None:
    permits = Permits()
    permits.add(7, 3)
    permits.take(7)
    permits.add(256 + 9, 2)
    assert permits.drain() == Counter({7: 2, 9: 2})
    assert (permits.drain(), permits.take(7)) == (Counter(), False)


def test_taker_and_drainer_share_every_permit_between_them() -> None:
    permits = Permits()
    taken, drained, start = [], Counter[int](), threading.Barrier(2)

    def take() -> None:
        start.wait()
        while permits.take(1):
            taken.append(1)

    permits.add(1, 5000)
    thread = threading.Thread(target=take)
    thread.start()
    start.wait()
    drained = permits.drain()
    thread.join()
    drained += permits.drain()
    assert len(taken) + drained[1] == 5000


def test_a_full_batch_for_each_of_many_fetches_fits_the_pipe() -> None:
    permits = Permits()
    for number in range(200):
        permits.add(number, 256)
    assert permits.drain().total() == 200 * 256


def test_what_runs_can_be_read_from_the_bytes_alone() -> None:
    state = bytearray(Running.size(3))
    running = Running(state)
    before = time.monotonic()
    first = running.start(b"first")
    running.start(("é" * 50).encode(), time_limit=9)
    found = {task_id: (started, deadline) for task_id, started, deadline in read_running(bytes(state))}
    assert set(found) == {"first", "é" * 50}
    assert found["first"][1] == 0
    started, deadline = found["é" * 50]
    assert before <= started <= time.monotonic()
    assert deadline == started + 9
    running.end(first)
    assert [row[0] for row in read_running(bytes(state))] == ["é" * 50]


def test_rows_are_used_again() -> None:
    state = bytearray(Running.size(1))
    running = Running(state)
    for n in range(5):
        running.end(running.start(b"%d" % n))
    running.start(b"x" * ID_BYTES)
    assert read_running(bytes(state))[0][0] == "x" * ID_BYTES


def test_a_reader_never_sees_half_a_number() -> None:
    """A supervisor that reads a progress of 0 would end a process that works; a torn deadline, one whose task is in time."""
    state = mmap.mmap(-1, Running.size(1))
    running, born = Running(state), time.monotonic()
    pid = os.fork()
    if pid == 0:
        while time.monotonic() - born < 1:
            running.progress()
            running.end(running.start(b"a", time_limit=1000))
        os._exit(0)
    torn = []
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        seen = [state[:] for _ in range(1000)]
        torn += [each for each in seen if not _is_whole(each, born)]
    assert torn == []


def _is_whole(state: bytes, born: float) -> bool:
    rows = read_running(state)
    return born - 1 <= read_progress(state) <= born + 60 and all(
        task_id == "a" and born <= started <= born + 60 and born + 1000 <= deadline <= born + 1060
        for task_id, started, deadline in rows
    )


def test_the_pipe_may_be_somebody_elses() -> None:
    pipe = os.pipe()
    ours, theirs = Permits(pipe), Permits(pipe)
    ours.add(3, 1)
    assert theirs.drain() == {3: 1}
    for fd in pipe:
        os.close(fd)
