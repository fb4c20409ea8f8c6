"""A soft time limit ends a task that waits in our own code, at its time, in real workers.

Of the kind: every call of ours that blocks inside a task (a result, many, as they complete, with a timeout or without; a message,
`consume`; their asyncio twins), in the main thread and in another of the process, and in the event loop. Nothing of ours may
take what is raised in a task for an error of its own: tests/runtime/test_interrupts.py looks for such places in the code.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import SoftTimeLimitExceeded
from tests.crash.workers import Workers
from tests.support.servers import RedisServer
from tests.support.waiting import allowed


@pytest.fixture
def workers(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Workers]:
    server = start_redis()
    made = Workers("waiting_tasks", f"waiting-{secrets.token_hex(4)}", server.url, tmp_path, server.client())
    yield made
    made.stop()
    print(made.said()[-4000:])


def test_a_limit_of_half_a_second_ends_a_wait_after_half_a_second(workers: Workers) -> None:
    workers.start("-t1")
    app = workers.tasks
    for way in [*app.WAYS, *app.IN_MAIN_THREAD]:
        is_main, took = app.waits.delay(way).get(timeout=30)
        assert (way, is_main) == (way, True)
        assert took < allowed(2), way
    began = time.monotonic()
    with pytest.raises(SoftTimeLimitExceeded, match=r"is_ended ran longer than soft_time_limit=0.5 s"):
        app.is_ended.delay().get(timeout=30)
    assert time.monotonic() - began < allowed(5)


def test_also_in_the_other_threads_of_a_process(workers: Workers) -> None:
    workers.start("-t2")
    app = workers.tasks
    for way in app.WAYS:
        both = [app.waits.delay(way) for _ in range(2)]
        found = [result.get(timeout=30) for result in both]
        assert (way, {is_main for is_main, _ in found}) == (way, {True, False})
        assert max(took for _, took in found) < allowed(2), way


def test_also_in_the_event_loop(workers: Workers) -> None:
    workers.start()
    app = workers.tasks
    began = time.monotonic()
    results = [app.awaits.delay(way) for way in app.AWAYS]
    for way, result in zip(app.AWAYS, results, strict=True):
        with pytest.raises(SoftTimeLimitExceeded, match="awaits ran longer"):
            print(way, result.get(timeout=30))
    assert time.monotonic() - began < allowed(5)
