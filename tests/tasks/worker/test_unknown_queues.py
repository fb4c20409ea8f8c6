"""Queues that a worker is to work at and nobody knows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.worker import unknown_queues

MakeQueue = Callable[..., HotQueue]


def told(queue: HotQueue, defined: list[str], caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        unknown_queues.warn([queue.name], defined, [queue._tasks])
    return [record.getMessage() for record in caplog.records]


def test_a_queue_that_no_module_defines_is_named_with_the_nearest(
    make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue = make_queue(queue_name[:-1])
    assert told(queue, [queue_name], caplog) == [
        f"queue {queue.name!r} is unknown: no module defines it (there is {queue_name!r}); did you mean {queue_name!r}; "
        "working at it all the same"
    ]
    (line,) = told(queue, ["xyzzy", "abc"], caplog)
    assert "no module defines it (there are 'abc', 'xyzzy')" in line


def test_a_queue_in_use_is_known_and_may_be_what_was_meant(
    make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue, typo = make_queue(), make_queue(queue_name[:-1])
    (line,) = told(typo, [], caplog)
    assert "nothing was ever sent to it" in line
    assert repr(queue_name) not in line  # other tests' queues are in use
    queue.put(1)
    (line,) = told(typo, [], caplog)
    assert f"nothing was ever sent to it; did you mean {queue_name!r}; working" in line
    assert told(queue, ["another"], caplog) == []
    queue.clear()
    task = queue.submit(print)
    assert told(queue, ["another"], caplog) == []
    task.revoke()


@pytest.mark.servers("server")
def test_who_only_works_at_a_queue_does_not_make_it_known(
    make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue, typo = make_queue(), make_queue(queue_name[:-1])
    queue.put(1)
    Session(typo._tasks.broker, "somebody", "s").register(60_000, {"kind": "s"})
    assert len(told(typo, [], caplog)) == 1
    typo._tasks.broker.reap("somebody", known_dead=True)
    queue.clear()


def test_a_store_that_does_not_list_its_keys_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue = HotQueue("q", url="redis://127.0.0.1:1")

    def refuse(pattern: str) -> Any:
        raise ConnectionFailed("no permission")

    monkeypatch.setattr(queue._store, "scan", refuse)
    assert told(queue, [], caplog) == []
