"""Marks of queues from which something was fetched: set by a process, taken by its supervisor."""

from __future__ import annotations

import os

from hotqueue.tasks.worker.queue_marks import PLACES, QueueMarks, new_marks


def test_what_was_marked_is_taken_once() -> None:
    marks = QueueMarks()
    assert marks.take("abc") == []
    marks.mark(2)
    marks.mark(0)
    marks.mark(2)
    assert marks.take("abc") == ["a", "c"]
    assert marks.take("abc") == []


def test_a_process_marks_what_its_parent_takes() -> None:
    memory = new_marks()
    child = os.fork()
    if not child:
        QueueMarks(memory).mark(1)
        os._exit(0)
    os.waitpid(child, 0)
    assert QueueMarks(memory).take("abc") == ["b"]


def test_of_very_many_queues_some_share_a_place() -> None:
    queues = range(3 * PLACES)
    marks = QueueMarks()
    marks.mark(PLACES + 7)
    assert marks.take(queues) == [7, PLACES + 7, 2 * PLACES + 7]


def test_a_mark_for_a_queue_that_its_supervisor_does_not_know_is_none() -> None:
    marks = QueueMarks()
    marks.mark(9)
    assert marks.take("abc") == []
