"""What tasks report is written ten times a second at most, and the last of it always: soon, and before the task has ended."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.wire.run_reports import Lines
from hotqueue.tasks.worker import progress_writer
from hotqueue.tasks.worker.progress_writer import EVERY, ProgressWriter
from tests.support.waiting import wait_until


class Written:
    """Where progress is written; some of the first writes fail."""

    def __init__(self, failures: int = 0) -> None:
        self.all: list[tuple[str, int, float]] = []
        self.failures = failures

    def __call__(self, task_id: str, progress: dict[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionFailed("away")
        self.all.append((task_id, progress["n"], time.monotonic()))

    def of(self, task_id: str = "t") -> list[int]:
        return [n for each, n, _ in self.all if each == task_id]


def test_the_first_is_written_at_once_and_the_last_when_the_task_ends() -> None:
    writer = ProgressWriter(written := Written())
    writer.report("t", {"n": 0})
    assert written.of() == [0]
    for n in range(1, 50):
        writer.report("t", {"n": n})
    writer.end("t")
    assert written.of()[-1] == 49
    assert (writer.open, len(written.all) <= 3) == ({}, True)
    writer.end("unknown")


def test_the_last_of_a_burst_is_written_soon_though_the_task_goes_on() -> None:
    writer = ProgressWriter(written := Written())
    for n in range(10):
        writer.report("t", {"n": n})
    wait_until(lambda: written.of()[-1:] == [9])


def test_no_more_than_ten_a_second_of_each() -> None:
    writer = ProgressWriter(written := Written())
    began, n = time.monotonic(), 0
    while time.monotonic() - began < 0.6:
        n += 1
        writer.report("t", {"n": n})
        writer.report("u", {"n": n})
    writer.end("t")
    writer.end("u")
    for each in ("t", "u"):
        assert written.of(each) == sorted(written.of(each))
        assert written.of(each)[-1] == n
        times = [at for task_id, _, at in written.all if task_id == each]
        assert len(times) <= (times[-1] - times[0]) / EVERY + 2  # the one at the end comes when it comes


def test_an_outage_is_the_tasks_where_it_writes_and_loses_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_writer, "AGAIN", 0.01)
    writer = ProgressWriter(written := Written(failures=1))
    with pytest.raises(ConnectionFailed):
        writer.report("t", {"n": 0})
    written.failures = 3
    writer.report("t", {"n": 1})
    wait_until(lambda: written.of() == [1])
    written.failures = 1
    writer.report("t", {"n": 2})
    writer.end("t")  # which fails, and the task ends all the same


@pytest.mark.parametrize("leave", ["end", "drop"])
def test_its_thread_stays_while_a_task_reports_and_no_longer(leave: str) -> None:
    before = set(threading.enumerate())
    writer = ProgressWriter(Written())
    for _ in range(2):
        for n in range(10):
            writer.report("t", {"n": n})
        assert not set(threading.enumerate()) <= before
        writer.end("t") if leave == "end" else writer.drop()
        wait_until(lambda: set(threading.enumerate()) <= before)


def test_what_was_given_up_writes_nothing_more() -> None:
    writer = ProgressWriter(written := Written())
    for n in range(3):
        writer.report("t", {"n": n})
    writer.drop()
    writer.end("t")
    assert written.of() == [0]


def test_many_threads_and_one_thread_that_writes() -> None:
    writer = ProgressWriter(written := Written())
    threads = [threading.Thread(target=lambda i=i: [writer.report(str(i), {"n": n}) for n in range(300)]) for i in range(8)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        writer.end(str(i))
        assert written.of(str(i))[-1] == 299


class Log:
    """Where lines are written."""

    def __init__(self, failures: int = 0) -> None:
        self.texts: list[list[str]] = []
        self.said: list[dict[str, Any]] = []
        self.failures = failures

    def __call__(self, _task_id: str, said: dict[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionFailed("away")
        self.said.append(said)
        if "log" in said:
            self.texts.append([text for _, _, text in Lines(said["log"].encode()).all])


def test_lines_are_written_together_and_with_progress() -> None:
    writer = ProgressWriter(log := Log())
    for n in range(200):
        writer.log("t", (n, 1, str(n)), lambda: b"")
        writer.report("t", {"progress": {"n": n}})
    writer.end("t")
    assert log.texts[0] == ["0"]
    assert log.texts[-1] == [str(n) for n in range(100, 200)]
    assert log.said[-1]["progress"] == {"n": 199}
    assert len(log.said) < 100  # not one a line


def test_lines_of_runs_before_are_kept_and_read_once() -> None:
    writer, asked = ProgressWriter(log := Log()), list[int]()

    def earlier() -> bytes:
        asked.append(1)
        before = Lines()
        before.add((1, 1, "before"))
        return before.encode().encode()

    for n in range(3):
        writer.log("t", (n, 2, str(n)), earlier)
    writer.log("u", (0, 1, "first"), earlier)
    writer.end("t")
    assert ["before", "0", "1", "2"] in log.texts
    assert ["first"] in log.texts
    assert asked == [1]


def test_a_line_that_could_not_be_written_comes_with_the_next() -> None:
    writer = ProgressWriter(log := Log(failures=1))
    with pytest.raises(ConnectionFailed):
        writer.log("t", (1, 1, "a"), lambda: b"")
    writer.log("t", (2, 1, "b"), lambda: b"")
    writer.end("t")
    assert log.texts[-1] == ["a", "b"]


def test_who_logs_waits_once_for_a_server_that_is_away() -> None:
    waited, is_back = list[str](), threading.Event()

    def write(_task_id: str, _said: dict[str, Any]) -> None:
        waited.append(threading.current_thread().name)
        if waited[0] != waited[-1]:
            is_back.wait(10)
        raise ConnectionFailed("away")

    writer = ProgressWriter(write)
    with pytest.raises(ConnectionFailed):
        writer.log("t", (0, 1, "0"), lambda: b"")
    wait_until(lambda: len(waited) > 1)
    for n in range(3):
        writer.log("t", (n, 1, str(n)), lambda: b"")
    assert waited[1:] == ["hotqueue-progress"]
    is_back.set()
    writer.drop()
