"""Duplicates: what enqueue.lua answers, in ids or as an error; with the server: test_unique.py."""

from __future__ import annotations

import pytest

from hotqueue import DuplicateTask
from hotqueue.tasks.broker import duplicates
from hotqueue.tasks.broker.encoded import Encoded
from tests.tasks.broker.test_lanes import plain
from tests.tasks.broker.test_unique import only

TASKS = [Encoded(task_id, "", "", only(task_id)) for task_id in "abc"]


def test_ids_are_those_of_the_tasks_or_of_what_was_there_before_them() -> None:
    found = duplicates.stored([1, 0, b"other"], TASKS)
    assert found == [True, False, "other"]
    assert duplicates.ids_of(found, TASKS) == ["a", "b", "other"]
    assert duplicates.stored([], []) == []


def test_a_refusal_says_which_are_there() -> None:
    with pytest.raises(
        DuplicateTask, match="task t with the unique key 'k' is there already: it is task x, and so is 1 more"
    ) as caught:
        duplicates.stored([b"duplicate", 2, b"x", 3, b"b"], TASKS)
    assert (caught.value.task_id, caught.value.ids) == ("x", {"b": "x", "c": ""})


def test_the_key_of_a_call_is_read() -> None:
    assert (duplicates.key_of(only("a")), duplicates.key_of(plain("p")), duplicates.key_of(b"no envelope")) == ("t:k", None, None)
