"""Never more at a time than `max_concurrency` says, whatever dies, and what waits goes on at once.

Of this kind: children and whole workers that are killed in a task, and at each point between fetch and acknowledgement; sync and
async tasks; a key for each tenant. What scripts do, and what somebody does at our keys: tests/tasks/broker/test_lanes.py.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.tasks.worker import failpoints
from tests.crash.rig import report
from tests.crash.workers import Workers
from tests.support import leaks
from tests.support.processes import worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
TASKS, LENGTH = 200, 0.02


class Lanes(Workers):
    """Workers of `lane_tasks`, and who killed which of their processes when."""

    app = "lane_tasks"

    def __init__(self, name: str, url: str, folder: Path) -> None:
        super().__init__(self.app, name, url, folder)
        self.kills: list[tuple[int, int]] = []

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.kills.append((pid, time.monotonic_ns()))

    def busy(self) -> list[int]:
        """Return the pids of the processes that run a task, as far as they have noted."""
        last = {int(pid): what for what, pid, *_ in self.noted()}
        killed = {pid for pid, _ in self.kills}
        return [pid for pid, what in last.items() if what == "begin" and pid not in killed]

    def most_at_once(self, tenant: str = "") -> int:
        """Return how many ran at a time at most; what a killed process ran has ended with it."""
        noted = [line for line in self.noted() if not tenant or line[-1] == tenant]
        events = [(int(line[3]), 1 if line[0] == "begin" else -1) for line in noted]
        for pid, at in self.kills:
            own = [line for line in noted if int(line[1]) == pid]
            begun = {line[2] for line in own if line[0] == "begin"}
            events += [(at, -1)] * len(begun - {line[2] for line in own if line[0] == "end"})
        most = now = 0
        for _, change in sorted(events):
            now += change
            most = max(most, now)
        return most

    def check_nothing_left(self) -> None:
        wait_until(lambda: self.unfinished() == 0)
        found = leaks.keys_of(self.redis, self.name)
        for family in (
            keys.gated(self.name),
            keys.blocked(self.name),
            keys.lanes(self.name),
            keys.lane(self.name, ""),
            keys.slots(self.name, ""),
        ):
            assert [key for key in found if key.startswith(family)] == []


@pytest.fixture
def lanes(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Lanes]:
    """A queue whose workers can be harmed."""
    made = Lanes(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.parametrize("kills", [0, 3])
def test_at_most_four_at_a_time_whichever_processes_are_killed(lanes: Lanes, kills: int) -> None:
    for _ in range(2):
        lanes.start("-p3")
    assert lanes.tasks.free.map(range(100)).get(30) == list(range(100))
    began = time.monotonic()
    results = lanes.tasks.four.map(range(TASKS))
    for n in range(kills):
        wait_until(lambda n=n: lanes.redis.hlen(keys.tasks(lanes.name)) < TASKS - 30 * (n + 1) and lanes.busy())
        lanes.kill(random.choice(lanes.busy()))
    assert results.get(30) == list(range(TASKS))
    took = time.monotonic() - began
    report(f"{TASKS} tasks of {LENGTH} s, 4 at a time, {kills} kills, of what is ideal", [took / (TASKS * LENGTH / 4)])
    assert lanes.most_at_once() == 4
    lanes.check_nothing_left()


def test_a_whole_worker_that_is_killed_holds_up_no_lane(lanes: Lanes) -> None:
    first, second = lanes.start("-p4"), lanes.start("-p4")
    results = lanes.tasks.four.map(range(TASKS))
    wait_until(lambda: lanes.redis.hlen(keys.tasks(lanes.name)) < TASKS - 50)
    dying = [*worker_processes(first.pid), first.pid]
    for pid in dying:
        lanes.kill(pid)
    assert results.get(30) == list(range(TASKS))
    assert second.poll() is None
    assert lanes.most_at_once() <= 4
    lanes.check_nothing_left()


@pytest.mark.parametrize("point", failpoints.POINTS)
def test_a_process_killed_at_any_point_leaves_no_slot_behind(lanes: Lanes, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    lanes.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    for _ in range(2):
        token.touch()
        results = [lanes.tasks.one_each.delay(n, n % 3) for n in range(30)]
        assert [result.get(30) for result in results] == list(range(30))
        wait_until(lambda: not token.exists())
    lanes.check_nothing_left()


def test_of_async_tasks_only_so_many_are_begun(lanes: Lanes) -> None:
    lanes.start("-p2")
    assert lanes.tasks.three.map(range(40)).get(30) == list(range(40))
    assert lanes.most_at_once() == 3
    lanes.check_nothing_left()


def test_each_tenant_has_a_lane_of_its_own_and_holds_up_no_other(lanes: Lanes) -> None:
    lanes.start("-p2")
    hot = [lanes.tasks.one_each.delay(n, 0) for n in range(300)]
    quick = [lanes.tasks.one_each.delay(n, 1 + n) for n in range(10)]
    assert [result.get(30) for result in quick] == list(range(10))
    assert lanes.tasks.free.delay(7).get(30) == 7
    assert hot[-1].state == "PENDING"
    assert [result.get(30) for result in hot] == list(range(300))
    assert lanes.most_at_once("0") == 1
    lanes.check_nothing_left()
