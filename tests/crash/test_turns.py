"""A worker of several queues takes turns: no queue waits for the backlog of another, in real workers.

Of the kind: sync workers, of one thread and of several; async workers, with one slot and with many; short tasks that are fetched
in batches, and long ones; weights; a queue that has nothing for a while, and then something.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.workers import Workers
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

KINDS = {
    "one thread": ("SYNC", ["-t1"]),
    "four threads": ("SYNC", ["-t4"]),
    "one coroutine": ("ASYNC", ["--async-concurrency", 1]),
    "ten coroutines": ("ASYNC", ["--async-concurrency", 10]),
}
kinds = pytest.mark.parametrize(("tasks", "options"), KINDS.values(), ids=KINDS)


@pytest.fixture
def workers(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Workers]:
    server = start_redis()
    made = Workers("turns_tasks", f"turns-{secrets.token_hex(4)}", server.url, tmp_path, server.client())
    yield made
    made.stop()
    made.tasks.second.close()
    print(made.said()[-4000:])


@kinds
@pytest.mark.parametrize("seconds", [0.01, 0.0005])
def test_a_task_waits_for_no_backlog_of_another_queue(
    workers: Workers, tasks: str, options: list[object], seconds: float
) -> None:
    busy, rare = getattr(workers.tasks, tasks)
    backlog = busy.map([seconds] * (30_000 if seconds < 0.01 else 4000))
    workers.start(*options)
    wait_until(lambda: len(workers.noted()) > 50)
    waited = []
    for _ in range(10):
        began = time.monotonic()
        rare.delay(0).get(timeout=30)
        waited.append(time.monotonic() - began)
    assert workers.queue.pending() > 100, "the backlog is too short to tell anything"
    assert sorted(waited)[5] < allowed(0.06)
    assert max(waited) < allowed(1.5)
    del backlog


@kinds
@pytest.mark.parametrize("seconds", [0.01, 0.001])
def test_turns_are_by_weight(workers: Workers, tasks: str, options: list[object], seconds: float) -> None:
    first, second = getattr(workers.tasks, tasks)
    second.map([seconds] * 3000)
    first.map([seconds] * 3000)
    workers.start("-Q", f"{workers.name}:3,{workers.name}-b", *options)
    enough = 1500 if seconds < 0.01 else 600
    wait_until(lambda: len(workers.noted()) > enough, 60)
    begun = [line[0] for line in workers.noted()[100:enough]]
    assert 0.7 < begun.count("a") / len(begun) < 0.8
    assert "queues  " + f"{workers.name} (3 turns), {workers.name}-b" in workers.said()


def test_long_tasks_take_turns_one_by_one(workers: Workers) -> None:
    for task in workers.tasks.SYNC:
        task.map([0.1] * 10)
    workers.start("-t1")
    wait_until(lambda: len(workers.noted()) >= 10)
    assert "".join(line[0] for line in workers.noted()[:10]) in ("ab" * 5, "ba" * 5)


def test_a_queue_that_is_idle_leaves_all_to_the_others(workers: Workers) -> None:
    """As much as one queue alone gets."""
    _, task = workers.tasks.ASYNC
    began = time.monotonic()
    results = task.map([0.05] * 200)
    workers.start("-Q", f"{workers.name}:100,{workers.name}-b", "--async-concurrency", 20)
    results.get(timeout=30)
    assert time.monotonic() - began < allowed(5)
