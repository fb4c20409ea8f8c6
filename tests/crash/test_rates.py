"""Of tasks with a rate limit no more start in any period than it says, whatever dies, and nearly as many; keys take turns.

Of this kind: many processes; children and whole workers that are killed; sync and async tasks; keys of their own; all gates on
one task. What is measured is when tasks begin, by the clock of the host. What scripts do: tests/tasks/broker/test_rates.py.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.tasks.worker import failpoints
from tests.crash.rig import report
from tests.crash.test_lanes import Lanes
from tests.support import leaks
from tests.support.processes import worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
IS_MEASURED = (
    "RATE_SECONDS" in os.environ
)  # on a machine that does nothing else; else processes may stand still in the midst of a start
SECONDS = float(os.environ.get("RATE_SECONDS", "3"))
SECOND, SHARE = (1.0, 0.9) if IS_MEASURED else (0.9, 0.6)


class Rates(Lanes):
    """Workers of `rate_tasks`, and when what they ran began."""

    app = "rate_tasks"

    def begun(self, whose: str = "") -> list[float]:
        """Return when tasks began, in order, in seconds."""
        return sorted(int(line[3]) / 1e9 for line in self.noted() if line[0] == "begin" and (not whose or line[-1] == whose))

    def most_in(self, seconds: float, whose: str = "") -> int:
        """Return how many began in any so many seconds at most."""
        begun, most, first = self.begun(whose), 0, 0
        for last, at in enumerate(begun):
            while begun[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def check_nothing_waits(self) -> None:
        """No key is left of what waited; logs of starts go by themselves."""
        self.check_nothing_left()
        found = leaks.keys_of(self.redis, self.name)
        assert [key for key in found if key.startswith((keys.turns(self.name, ""), keys.timers(self.name)))] == []
        assert all(self.redis.pttl(key) > 0 for key in found if key.startswith(keys.starts(self.name, "")))


@pytest.fixture
def rates(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Rates]:
    """A queue whose workers can be harmed."""
    made = Rates(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


def test_no_more_start_in_any_second_and_nearly_as_many(rates: Rates) -> None:
    rates.start("-p4")
    rates.start("-p4")
    assert rates.tasks.free.map(range(100)).get(30) == list(range(100))
    rates.tasks.fifty.map(range(int(60 * SECONDS) + 100))
    wait_until(lambda: len(rates.begun()) > 0)
    wait_until(lambda: time.monotonic() > rates.begun()[0] + SECONDS, SECONDS + 10)
    began = rates.begun()
    used = sum(at < began[0] + SECONDS for at in began) / (50 * SECONDS)
    report(f"50/s for {SECONDS} s: most in a second {rates.most_in(1.0)}, share used", [used])
    assert rates.most_in(SECOND) <= 50
    assert used >= SHARE


@pytest.mark.parametrize("whole", [False, True])
def test_nor_when_processes_are_killed(rates: Rates, whole: bool) -> None:
    first, _ = rates.start("-p3"), rates.start("-p3")
    results = rates.tasks.fifty.map(range(120))
    wait_until(lambda: len(rates.begun()) > 10)
    if whole:
        for pid in [*worker_processes(first.pid), first.pid]:
            rates.kill(pid)
    else:
        rates.kill(random.choice(worker_processes(first.pid)))
    assert results.get(30) == list(range(120))
    assert rates.most_in(SECOND) <= 50
    rates.check_nothing_waits()


@pytest.mark.parametrize("point", failpoints.POINTS)
def test_a_process_killed_at_any_point_loses_nothing_of_a_task_with_all_gates(rates: Rates, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    rates.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    token.touch()
    results = [rates.tasks.all_gates.delay(n, f"{n % 3}") for n in range(30)]
    assert [result.get(30) for result in results] == list(range(30))
    wait_until(lambda: not token.exists())
    assert rates.most_at_once() <= 3
    rates.check_nothing_waits()


def test_async_tasks_and_keys_of_their_own(rates: Rates) -> None:
    rates.start("-p2")
    hosts = [rates.tasks.twenty.delay(n, n % 2) for n in range(50)]
    assert rates.tasks.twenty_async.map(range(30)).get(30) == list(range(30))
    assert [result.get(30) for result in hosts] == list(range(50))
    assert max(rates.most_in(SECOND, host) for host in "01") <= 20
    rates.check_nothing_waits()


def test_the_last_of_ten_starts_within_twelve_turns(rates: Rates) -> None:
    rates.start("-p2")
    many = rates.tasks.fair.map(range(0))  # nothing: the queue is known
    assert many.get(1) == []
    for n in range(1500):
        rates.tasks.fair.delay(n, "many", 0.001)
    few = [rates.tasks.fair.delay(n, "few", 0.001) for n in range(10)]
    sent = time.monotonic()
    assert [result.get(30) for result in few] == list(range(10))
    last = rates.begun("few")[-1]
    between = sum(sent < at < last for at in rates.begun("many"))
    report("others that started before the last of ten", [between])
    assert between <= 12
