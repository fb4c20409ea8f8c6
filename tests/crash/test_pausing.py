"""Once `pause(task)` has returned, no task of that name starts, on any worker; the others go on; it outlives what dies meanwhile.

Of this kind: short tasks that are fetched by the hundred, and ahead; ones behind a long one; async ones; a worker that is killed
while they are paused, whoever resumes killed in the middle. What scripts do: tests/tasks/broker/test_pausing.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue import keys
from tests.crash.workers import Workers
from tests.support.processes import worker_processes
from tests.support.waiting import holds_for, wait_until

pytestmark = pytest.mark.servers("server")


class Pausing(Workers):
    """Workers of `pausing_tasks`."""

    def started(self, name: str) -> list[tuple[int, int]]:
        """Return the numbers of the tasks of a name that have started, and when."""
        return [(int(n), int(at)) for what, n, at in self.noted() if what == name]

    def parked(self, name: str) -> int:
        return int(self.redis.zcard(keys.parked(self.name, f"paused:{name}")))


@pytest.fixture
def pausing(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Pausing]:
    made = Pausing("pausing_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.parametrize(("name", "seconds"), [("mail", 0.0), ("mail", 0.004), ("amail", 0.0)])
def test_none_starts_once_it_has_returned_and_all_run_in_order_later(pausing: Pausing, name: str, seconds: float) -> None:
    for _ in range(2):
        pausing.start("-p2", "--async-concurrency", "20")
    task = getattr(pausing.tasks, name)
    with pausing.queue.batch():
        first = [task.delay(n, seconds) for n in range(1500)]
    others = pausing.tasks.price.map(range(300))
    wait_until(lambda: len(pausing.started(name)) > 50)
    pausing.queue.pause(task=name)
    paused_at = time.monotonic_ns()
    second = task.map(range(1500, 1600))
    assert others.get(timeout=30) == list(range(300))
    assert pausing.tasks.price.delay(7).get(timeout=30) == 7
    late = [(n, (at - paused_at) / 1e6) for n, at in pausing.started(name) if at > paused_at]
    assert late == []
    count = len(pausing.started(name))
    assert count < 1500
    wait_until(lambda: pausing.parked(name) == 1600 - count)
    pausing.queue.resume(task=name)
    assert [result.get(timeout=30) for result in first] + second.get(timeout=30) == list(range(1600))
    wait_until(lambda: pausing.unfinished() == 0)


def test_of_a_key_none_starts_once_it_has_returned_and_other_keys_go_on(pausing: Pausing) -> None:
    for _ in range(2):
        pausing.start("-p2")
    with pausing.queue.batch():
        ones = [pausing.tasks.bill.delay(n, 1) for n in range(800)]
        twos = [pausing.tasks.bill.delay(n, 2) for n in range(800)]
    wait_until(lambda: len(pausing.started("bill-1")) > 50)
    pausing.queue.pause(key="tenant-1")
    paused_at = time.monotonic_ns()
    assert [result.get(timeout=30) for result in twos] == list(range(800))
    assert [n for n, at in pausing.started("bill-1") if at > paused_at] == []
    pausing.queue.resume(key="tenant-1")
    assert [result.get(timeout=30) for result in ones] == list(range(800))


def test_one_that_was_fetched_behind_a_long_one_goes_back(pausing: Pausing) -> None:
    pausing.start()
    pausing.tasks.price.map(range(200)).get(timeout=30)  # so that it fetches many at once
    with pausing.queue.batch():
        long = pausing.tasks.price.delay(1, 1.0)
        behind = [pausing.tasks.mail.delay(n) for n in range(5)]
    wait_until(lambda: long.state == "STARTED")
    pausing.queue.pause("mail")
    assert long.get(timeout=30) == 1
    wait_until(lambda: pausing.parked("mail") == 5)
    assert pausing.started("mail") == []
    pausing.queue.resume("mail")
    assert [result.get(timeout=30) for result in behind] == list(range(5))
    assert [n for n, _ in pausing.started("mail")] == list(range(5))


def test_a_pause_outlives_the_workers(pausing: Pausing) -> None:
    first = pausing.start()
    pausing.queue.pause("mail")
    results = pausing.tasks.mail.map(range(20))
    wait_until(lambda: pausing.parked("mail") == 20)
    for pid in (*worker_processes(first.pid), first.pid):
        os.kill(pid, signal.SIGKILL)
    pausing.start()
    assert pausing.tasks.price.delay(1).get(timeout=30) == 1
    holds_for(lambda: pausing.started("mail") == [], 0.3)
    pausing.queue.resume("mail")
    assert results.get(timeout=30) == list(range(20))


def test_whoever_resumes_may_die_between_the_steps(pausing: Pausing) -> None:
    """The name is not paused any more, and nobody has put back what was set aside: workers do, woken by the ring."""
    pausing.start("-p2")
    pausing.queue.pause("mail")
    results = pausing.tasks.mail.map(range(3000))
    wait_until(lambda: pausing.parked("mail") == 3000)
    pausing.queue._tasks.broker._edit("resume", "mail")
    assert results.get(timeout=30) == list(range(3000))
