"""The table of what runs: what can be read from its bytes alone, at any moment; its copy for neighbours."""

from __future__ import annotations

import mmap
import os
import time

from hotqueue.tasks.rules.history import LAST_ALONE, SUSPECT
from hotqueue.tasks.worker.running_table import ID_BYTES, Running, new_table, read_fates, read_progress, read_running


def test_what_runs_can_be_read_from_the_bytes_alone() -> None:
    table = bytearray(Running.size(3))
    running = Running(table)
    before = time.monotonic()
    first = running.start(b"first")
    running.start(("é" * 50).encode(), time_limit=9, fate=LAST_ALONE)
    found = {task_id: (started, deadline) for task_id, started, deadline in read_running(bytes(table))}
    assert set(found) == {"first", "é" * 50}
    assert found["first"][1] == 0
    started, deadline = found["é" * 50]
    assert before <= started <= time.monotonic()
    assert deadline == started + 9
    assert read_fates(bytes(table)) == {"first": 0, "é" * 50: LAST_ALONE}
    running.end(first)
    assert [row[0] for row in read_running(bytes(table))] == ["é" * 50]


def test_of_one_that_came_further_it_is_known_that_it_runs_again() -> None:
    table, copy = bytearray(Running.size(3)), bytearray(Running.size(3))
    running = Running(table)
    running.copy_to(copy)
    running.end(running.start(b"one", fate=LAST_ALONE))
    running.start(b"two", fate=LAST_ALONE)
    running.start(b"one", fate=LAST_ALONE | SUSPECT)
    running.forgive("one")
    running.forgive("three")
    assert read_fates(bytes(table)) == read_fates(bytes(copy)) == {"two": LAST_ALONE, "one": SUSPECT}


def test_rows_are_used_again() -> None:
    table = bytearray(Running.size(1))
    running = Running(table)
    for n in range(5):
        running.end(running.start(b"%d" % n))
    running.start(b"x" * ID_BYTES)
    assert read_running(bytes(table))[0][0] == "x" * ID_BYTES


def test_a_parent_reads_what_its_child_runs_even_when_that_is_dead() -> None:
    table = new_table(2)
    pid = os.fork()
    if pid == 0:
        Running(table).start(b"deadly", 7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [task_id for task_id, _, _ in read_running(table[:])] == ["deadly"]
    assert read_progress(table[:]) > 0
    table.close()


def test_a_copy_has_what_runs_already_and_what_comes_until_another_takes_its_place() -> None:
    running = Running(bytearray(Running.size(3)))
    one, other = bytearray(Running.size(3)), bytearray(Running.size(3))
    first = running.start(b"first")
    running.copy_to(one)
    second = running.start(b"second", 9, LAST_ALONE)
    assert {row[0] for row in read_running(bytes(one))} == {"first", "second"}
    assert (read_running(bytes(one)), read_fates(bytes(one))) == (
        read_running(bytes(running.table)),
        {"first": 0, "second": LAST_ALONE},
    )
    running.end(first)
    running.copy_to(other)
    running.end(second)
    running.start(b"third")
    assert [row[0] for row in read_running(bytes(one))] == ["second"]
    assert [row[0] for row in read_running(bytes(other))] == ["third"]


def test_a_reader_never_sees_half_a_number() -> None:
    """A supervisor that reads a progress of 0 would end a process that works; a torn deadline, one whose task is in time."""
    table = mmap.mmap(-1, Running.size(1))
    running, born = Running(table), time.monotonic()
    pid = os.fork()
    if pid == 0:
        while time.monotonic() - born < 1:
            running.progress()
            running.end(running.start(b"a", time_limit=1000))
        os._exit(0)
    torn = []
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        seen = [table[:] for _ in range(1000)]
        torn += [each for each in seen if not _is_whole(each, born)]
    assert torn == []


def _is_whole(table: bytes, born: float) -> bool:
    rows = read_running(table)
    return born - 1 <= read_progress(table) <= born + 60 and all(
        task_id == "a" and born <= started <= born + 60 and born + 1000 <= deadline <= born + 1060
        for task_id, started, deadline in rows
    )


def test_a_worker_that_has_left_is_not_taken_for_stuck() -> None:
    """Another one of its process may finish what it runs for longer than a worker may stand still."""
    running = Running(bytearray(Running.size(1)))
    running.leave()
    assert time.monotonic() - read_progress(bytes(running.table)) < 0
