"""Supervisors that share the upkeep of many queues: what one of them leaves, others see to; leases of what is held.

Of this kind: whatever only upkeep does (here: ending what waits past its expiry at queues from which nobody fetches), when the
one whose share it was is killed, stopped, or cut off from a node of a Cluster; a lease that is lost at one queue or node while
tasks of others run; a lease that nobody renews, because its worker and its supervisor are gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from hotqueue import HotQueue, keys, presence
from hotqueue.tasks.rules.lifecycle import State
from tests.crash.test_silent_servers import named
from tests.crash.workers import APPS, BANNER
from tests.support.processes import worker_processes
from tests.support.servers import Cluster, RedisServer
from tests.support.waiting import allowed, holds_for, wait_until

MANY = 30
LEASE = 3  # seconds


class Fleet:
    """Workers of many queues, q-0 and so on."""

    def __init__(self, url: str, redis: Any, folder: Path, start_command: Any) -> None:
        self.url, self.redis, self.folder, self._start_command = url, redis, folder, start_command
        self.workers: list[subprocess.Popen[str]] = []
        self.queues = [HotQueue(f"q-{n}", url=url) for n in range(MANY)]

    def start(self, count: int = 1) -> None:
        """Start workers, each of one process, and wait until they are ready."""
        path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
        env = {"STORE": self.url, "QUEUE": "q", "COUNT": str(MANY), "NOTES": str(self.folder / "notes"), "PYTHONPATH": path}
        logs = [self.folder / f"worker{len(self.workers) + n}.log" for n in range(count)]
        for log in logs:
            with open(log, "w") as file:
                pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
                command = ("hotqueue-worker", "twenty_queues", "-p1", "--lease", str(LEASE))
                self.workers.append(self._start_command(*command, env=env, **pipes))
        wait_until(lambda: all(BANNER in log.read_text() for log in logs), 40, "the workers are ready")
        wait_until(lambda: all(len(self.registered(n)) >= 2 * len(self.workers) for n in range(MANY)), 40, "they have registered")

    def registered(self, queue: int) -> dict[str, float]:
        """Return what stands in a queue's `workers`."""
        return {name.decode(): at for name, at in self.redis.zrange(keys.workers(f"q-{queue}"), 0, -1, withscores=True)}

    def send(self, task: str, queue: int, *args: Any, **options: Any) -> Any:
        """Send a call of a task of one queue."""
        return named(self.queues[queue], task).apply_async(args, **options)

    def started(self) -> Counter[str]:
        """Return how often each task noted its start."""
        notes = self.folder / "notes"
        return Counter(notes.read_text().split("\n")[:-1] if notes.exists() else [])

    def said(self) -> str:
        """Return what the workers said."""
        return "".join(log.read_text() for log in sorted(self.folder.glob("worker*.log")))

    def is_empty(self) -> bool:
        """Tell whether there is no unfinished task."""
        return not any(self.redis.exists(keys.tasks(f"q-{n}")) for n in range(MANY))


@pytest.fixture
def fleet(start_redis: Callable[..., RedisServer], start_command: Any, tmp_path: Path) -> Iterator[Fleet]:
    server = start_redis()
    made = Fleet(server.url, server.client(), tmp_path, start_command)
    yield made
    print(made.said()[-5000:])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", "--cluster-require-full-coverage", "no")
    yield made
    for node in made.nodes:
        node.resume()
    made.stop()


def redis_of(cluster: Cluster) -> Any:
    """Return a client of all nodes."""
    return HotQueue("q-0", url=cluster.url)._store.client()


def node_of(cluster: Cluster, queue: str) -> RedisServer:
    """Return the node that has a queue."""
    for node in cluster.nodes:
        try:
            node.client().exists(keys.tasks(queue))
        except ResponseError:  # MOVED
            continue
        return node
    raise AssertionError(queue)


@pytest.fixture
def spread(cluster: Cluster, start_command: Any, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(cluster.url, redis_of(cluster), tmp_path, start_command)
    yield made
    print(made.said()[-5000:])


def end_all_expired(fleet: Fleet, harm: Callable[[], None]) -> float:
    """Have tasks expire at queues that are paused, where upkeep alone ends them; return seconds until they had ended."""
    for queue in fleet.queues:
        queue.pause()
    results = [fleet.send("quick", n, n, expires=2.0) for n in range(MANY)]
    expire_at = time.monotonic() + 2.0
    harm()
    wait_until(fleet.is_empty, what="what has expired is ended at every queue")
    took = time.monotonic() - expire_at
    assert all(result.state is State.REVOKED for result in results)
    return took


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_what_one_supervisor_leaves_the_others_do(fleet: Fleet, how: signal.Signals) -> None:
    fleet.start(3)
    wait_until(lambda: fleet.redis.zcard(keys.shares("q-0", "sweepers")) == 3, what="all three share the work")
    harmed = fleet.workers[0]

    def harm() -> None:
        for child in worker_processes(harmed.pid):
            os.kill(child, how)
        os.kill(harmed.pid, how)

    try:
        assert end_all_expired(fleet, harm) < allowed(4.0)
        wait_until(lambda: fleet.redis.zcard(keys.shares("q-0", "sweepers")) == 2, what="it is not counted on any more")
    finally:
        for pid in (harmed.pid, *worker_processes(harmed.pid)):
            if how == signal.SIGSTOP:
                os.kill(pid, signal.SIGCONT)


def test_a_table_of_shares_that_is_lost_or_junk_holds_up_nothing(fleet: Fleet) -> None:
    fleet.start(2)

    def harm() -> None:
        fleet.redis.delete(keys.shares("q-0", "swept"), keys.shares("q-0", "sweepers"))
        fleet.redis.set(keys.shares("q-0", "swept"), "not ours")

    assert end_all_expired(fleet, harm) < allowed(4.0)
    fleet.redis.delete(keys.shares("q-0", "swept"))


def test_a_task_that_takes_longer_than_a_lease_is_not_given_to_others_and_the_idle_have_no_lease(fleet: Fleet) -> None:
    fleet.start(2)
    results = [fleet.send("slow", 7, 0, 2.5 * LEASE), fleet.send("slow", 23, 0, 2.5 * LEASE)]
    wait_until(lambda: fleet.started() == {"q-7 0": 1, "q-23 0": 1})
    wait_until(lambda: sum(at > 0 for n in range(MANY) for at in fleet.registered(n).values()) == 2, what="two leases in all")
    assert [result.get(30) for result in results] == [0, 0]
    assert fleet.started() == {"q-7 0": 1, "q-23 0": 1}
    wait_until(lambda: all(at < 0 for n in range(MANY) for at in fleet.registered(n).values()), what="no lease is left")
    assert "is lost" not in fleet.said()
    assert "given up" not in fleet.said()


def test_what_a_lost_machine_held_comes_back_when_its_lease_ends_whoever_sweeps(fleet: Fleet) -> None:
    fleet.start()
    results = [fleet.send("slow", 11, 0, 0.5)]
    assert results[0].get(30) == 0
    lost, names = fleet.workers[0], set(fleet.registered(0))
    results = [fleet.send("slow", n, 1, 1.5) for n in (3, 19)]
    wait_until(lambda: fleet.started()["q-3 1"] + fleet.started()["q-19 1"] == 1, what="it runs one of them")
    for name in names:  # as on another machine: nobody sees whether it lives
        presence.forget(presence.folder(), name)
    fleet.start(2)
    holds_for(lambda: "is lost" not in fleet.said(), LEASE / 3)
    began = time.monotonic()
    lost.kill()
    assert [result.get(30) for result in results] == [1, 1]
    assert time.monotonic() - began < allowed(2.0 * LEASE + 4)


def test_a_whole_worker_that_dies_is_seen_on_its_machine_at_all_queues_at_once(fleet: Fleet) -> None:
    fleet.start(3)
    names = {name for name in fleet.registered(0) if f"-{worker_processes(fleet.workers[0].pid)[0]}-" in name}
    assert len(names) == 2
    result = [fleet.send("slow", n, 0, 1.0) for n in range(6)]
    wait_until(lambda: len(fleet.started()) >= 3)
    fleet.workers[0].kill()
    began = time.monotonic()
    wait_until(lambda: not any(names & set(fleet.registered(n)) for n in range(MANY)), what="it is registered nowhere any more")
    assert time.monotonic() - began < allowed(3.0)
    assert [each.get(30) for each in result] == [0] * 6


def test_a_lease_that_is_lost_at_one_queue_costs_the_tasks_of_that_alone(fleet: Fleet) -> None:
    fleet.start(2)
    results = [fleet.send("slow", n, 0, 2.0) for n in (5, 25)]
    wait_until(lambda: fleet.started() == {"q-5 0": 1, "q-25 0": 1})
    fleet.redis.delete(keys.workers("q-5"))
    assert [result.get(30) for result in results] == [0, 0]
    assert fleet.started()["q-25 0"] == 1
    wait_until(lambda: len(fleet.registered(5)) >= 1, what="whoever works there has registered again")
    assert fleet.send("slow", 5, 1, 0).get(30) == 1


@pytest.mark.timeout(120)
def test_a_lease_that_is_lost_at_one_node_costs_the_tasks_of_that_alone(spread: Fleet, cluster: Cluster) -> None:
    """One node of a Cluster is away for longer than a lease; then what it kept of leases is gone."""
    spread.start(2)
    owner = {n: cluster.nodes.index(node_of(cluster, f"q-{n}")) for n in range(MANY)}
    silent = cluster.nodes[owner[0]]
    here = next(n for n in range(MANY) if owner[n] != owner[0])
    results = [spread.send("slow", n, 0, 3.0 * LEASE) for n in (0, here)]
    wait_until(lambda: spread.started() == {"q-0 0": 1, f"q-{here} 0": 1})
    client = silent.client()
    names = client.zrange(keys.workers("q-0"), 0, -1)
    client.zrem(keys.workers("q-0"), *names)
    silent.pause()
    try:
        assert results[1].get(40) == 0
    finally:
        silent.resume()
    assert results[0].get(60) == 0
    assert spread.started()[f"q-{here} 0"] == 1


@pytest.mark.timeout(120)
def test_while_a_node_is_away_the_queues_of_the_others_are_looked_after(spread: Fleet, cluster: Cluster) -> None:
    spread.start(2)
    owner = {n: cluster.nodes.index(node_of(cluster, f"q-{n}")) for n in range(MANY)}
    silent = cluster.nodes[owner[0]]
    others = [n for n in range(MANY) if owner[n] != owner[0]]
    for queue in spread.queues:
        queue.pause()
    for n in range(MANY):
        spread.send("quick", n, n, expires=3.0)
    expire_at = time.monotonic() + 3.0
    silent.pause()
    try:
        clients = [node.client() for node in cluster.nodes]

        def ended(n: int) -> bool:
            return not clients[owner[n]].exists(keys.tasks(f"q-{n}"))

        wait_until(lambda: all(ended(n) for n in others))
        assert time.monotonic() - expire_at < allowed(5.0)
    finally:
        silent.resume()
    wait_until(spread.is_empty)
