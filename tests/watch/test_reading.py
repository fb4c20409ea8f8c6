"""Reading goes on whatever happens, and what takes long is done the more rarely."""

from __future__ import annotations

import threading

from hotqueue.errors import ConnectionFailed
from hotqueue.watch.reading import RARER, Reader, Turns, in_background
from tests.support.waiting import wait_until


def test_errors_are_told_as_answers_are_and_reading_goes_on() -> None:
    answers: list[object] = [ConnectionFailed("away"), ValueError("ours"), 3]
    told: list[object] = []
    reader = Reader(lambda: _raised(answers.pop(0)) if answers else 4, told.append, every=0.01)
    reader.start()
    wait_until(lambda: 4 in told)
    reader.stop()
    assert [str(each) for each in told[:3]] == ["away", "ours", "3"]


def _raised(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_it_reads_at_once_when_asked_to() -> None:
    told: list[int] = []
    reader = Reader(lambda: 1, told.append, every=1000)
    reader.start()
    wait_until(lambda: told)
    reader.now()
    wait_until(lambda: len(told) == 2)
    reader.stop()


def test_nobody_waits_for_an_answer_that_does_not_come() -> None:
    gate, told, begun = threading.Event(), list[int](), threading.Event()

    def read() -> int:
        begun.set()
        gate.wait()
        return 1

    reader = Reader(read, told.append, every=0.01)
    reader.start()
    begun.wait()
    reader.stop()
    gate.set()
    wait_until(lambda: not any(thread.name == "hotwatch-reader" for thread in threading.enumerate()))
    assert told == []


def test_what_takes_long_is_read_the_more_rarely() -> None:
    now = [100.0]
    turns = Turns(lambda: now[0])

    def read() -> str:
        now[0] += 0.5
        return "rows"

    assert turns.is_due("tasks")
    assert turns.time("tasks", 1.0, read) == "rows"
    now[0] = 100 + RARER * 0.5 - 0.1
    assert not turns.is_due("tasks")
    assert turns.is_due("workers")
    now[0] += 0.2
    assert turns.is_due("tasks")


def test_a_job_tells_its_answer_or_its_error() -> None:
    told: list[object] = []
    in_background(lambda: 1, told.append)
    in_background(lambda: _raised(ConnectionFailed("away")), told.append)
    wait_until(lambda: len(told) == 2)
    assert {str(each) for each in told} == {"1", "away"}
