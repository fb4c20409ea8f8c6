"""The methods for whoever operates a queue: each says what it does, and `stats` how the queue is.

What they do: tests/tasks/client/test_pausing.py, test_revoking.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.operating import Operating
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


def test_every_method_says_what_it_does() -> None:
    methods = {name: value for name, value in vars(Operating).items() if not name.startswith("_")}
    assert methods.keys() >= {"pause", "resume", "stats", "revoke_all", "arevoke_all", "purge", "apurge"}
    assert [name for name, value in methods.items() if not inspect.getdoc(value)] == []


@pytest.mark.servers("server")
def test_stats_say_how_the_queue_is(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(name="note")(sample.note)
    note.delay(1)
    note.apply_async((2,), countdown=60)
    queue.pause("note")
    assert queue.stats() == {
        "pending": 2,
        "running": 0,
        "ready": 1,
        "blocked": 0,
        "steps": 0,
        "scheduled": 1,
        "parked": 0,
        "suspects": 0,
        "dead": 0,
        "workers": 0,
        "paused": False,
        "paused_tasks": ["note"],
        "paused_keys": [],
    }
    queue.pause()
    assert queue.stats()["paused"] is True


def test_stats_inside_testing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(name="note")(sample.note)
    with queue.testing():
        queue.pause("note")
        note.delay(1)
        assert (queue.stats()["ready"], queue.stats()["paused_tasks"]) == (1, ["note"])
