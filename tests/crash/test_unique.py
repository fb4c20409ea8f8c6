"""A unique key is never held by who is gone, whatever dies, and no two of a key run at a time.

Of this kind: processes that are killed in a task, and at each point between fetch and acknowledgement; a server that begins
empty, and one that has forgotten its scripts. What scripts do, and what others do at our keys: tests/tasks/broker/test_unique.py.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.tasks import AsyncResult, State
from hotqueue.tasks.worker import failpoints
from tests.crash.workers import Workers
from tests.support import leaks
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


class Unique(Workers):
    """Workers of `unique_tasks`, and who killed which of their processes when."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        super().__init__("unique_tasks", name, url, folder)
        self.kills: dict[int, int] = {}

    def kill_one(self) -> None:
        """Kill a process that runs a task, as far as they have noted."""
        last = {int(pid): what for what, pid, *_ in self.noted()}
        busy = [pid for pid, what in last.items() if what == "begin" and pid not in self.kills]
        if busy:
            pid = random.choice(busy)
            self.kills[pid] = time.monotonic_ns()
            os.kill(pid, signal.SIGKILL)

    def check_one_at_a_time(self) -> None:
        """No run of a user's began before the last one ended, or its process was killed."""
        spans: dict[str, list[tuple[int, int]]] = {}
        open_at: dict[tuple[str, str, str], int] = {}
        for what, pid, n, at, user in self.noted():
            if what == "begin":
                open_at[pid, n, user] = int(at)
            else:
                spans.setdefault(user, []).append((open_at.pop((pid, n, user)), int(at)))
        for (pid, _, user), began in open_at.items():
            spans.setdefault(user, []).append((began, self.kills.get(int(pid), began)))
        for some in spans.values():
            some.sort()
            assert [pair for pair in pairwise(some) if pair[1][0] < pair[0][1]] == []

    def check_nothing_left(self) -> None:
        wait_until(lambda: self.unfinished() == 0)
        found = leaks.keys_of(self.redis, self.name)
        for family in (keys.unique(self.name), keys.parked(self.name, ""), keys.attempts(self.name), keys.needs(self.name)):
            assert [key for key in found if key.startswith(family)] == []


@pytest.fixture
def unique(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Unique]:
    """A queue whose workers can be harmed."""
    made = Unique(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.parametrize("point", failpoints.POINTS)
def test_a_process_killed_at_any_point_leaves_no_key_taken(unique: Unique, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    unique.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    for round_ in range(2):
        token.touch()
        for task in (unique.tasks.once, unique.tasks.newest):
            results: set[AsyncResult[int]] = {task.delay(n % 3, 10 * round_ + n) for n in range(30)}
            assert {result.get(20, propagate=False) is None for result in results} == {False}
        wait_until(lambda: not token.exists())
    unique.check_nothing_left()
    for user in range(3):
        assert unique.tasks.once.delay(user, 100 + user).get(30) == 100 + user


def test_the_newest_runs_last_and_one_at_a_time_whichever_processes_are_killed(unique: Unique) -> None:
    unique.start("-p4")
    sent: dict[int, list[AsyncResult[int]]] = {user: [] for user in range(4)}
    for n in range(1, 200):
        for user, results in sent.items():
            results.append(unique.tasks.newest.delay(user, n))
        if n % 25 == 0:
            unique.kill_one()
    for results in sent.values():
        assert results[-1].get(30) == 199
        states = {result.state for result in results}
        assert states <= {State.SUCCESS, State.REVOKED}
    unique.check_nothing_left()
    unique.check_one_at_a_time()


@pytest.mark.parametrize("harm", ["flushall", "script_flush"])
def test_a_server_that_has_forgotten_everything_keeps_nobody_out(unique: Unique, harm: str) -> None:
    unique.start("-p2")
    unique.queue.pause()
    first = unique.tasks.once.delay(1, 1)
    unique.tasks.newest.delay(1, 1)
    getattr(unique.redis, harm)()
    if harm == "script_flush":
        assert unique.tasks.once.delay(1, 2) == first
        unique.queue.resume()
        assert first.get(30) == 1
    assert unique.tasks.once.delay(1, 3).get(30) == 3
    unique.check_nothing_left()
