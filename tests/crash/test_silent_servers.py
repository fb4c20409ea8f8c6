"""A server that falls silent delays no queue of another: two servers, or the nodes of a Cluster, in one worker.

Of this kind: whatever a worker or its supervisor waits for at one server while another has work. Starting, fetching, telling,
recovering, sleeping, leaving; renewing leases and all other upkeep; for sync and async tasks; for a server that was there and
one that never was. And that none of it makes a task of a healthy queue run twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, WorkerLost, keys
from hotqueue.tasks.broker import scripts
from tests.crash.workers import APPS, BANNER
from tests.support.durations import let_pass
from tests.support.elsewhere import task_by_name
from tests.support.proxy import HALF_REPLY, SILENCE, Fault, Proxy
from tests.support.servers import Cluster, RedisServer, free_port
from tests.support.waiting import allowed, holds_for, wait_until

EVERY = 0.05  # seconds between two calls of a bystander
MANY = 10  # queues of apps/two_servers_of_many on the other server
OUTAGE = 7.0  # seconds: longer than any reply is waited for


@dataclass
class Pair:
    """A worker of two queues on two servers, and clients of these queues."""

    here: RedisServer
    there: RedisServer | None
    env: dict[str, str]
    folder: Path
    start_command: Callable[..., subprocess.Popen[str]]
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *args: str, app: str = "two_servers") -> subprocess.Popen[str]:
        """Start a worker and wait until it is ready."""
        with open(self.folder / "worker.log", "a") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            self.workers.append(self.start_command("hotqueue-worker", app, *args, env=self.env, **pipes))
        wait_until(lambda: BANNER in self.said(), what="the worker is ready")
        return self.workers[-1]

    def said(self) -> str:
        """Return what the worker said."""
        return (self.folder / "worker.log").read_text()

    def lines(self, what: str) -> list[str]:
        """Return what its processes said of something, but for what the supervisor says of its upkeep."""
        return [line for line in self.said().split("\n") if what in line and "upkeep of" not in line]

    def noted(self) -> list[str]:
        """Return what tasks noted."""
        notes = self.folder / "notes"
        return notes.read_text().split("\n")[:-1] if notes.exists() else []

    def queue(self, name: str, url: str) -> HotQueue:
        """Return a client of a queue."""
        return HotQueue(name, url=url)


@pytest.fixture
def make_pair(start_redis: Callable[..., RedisServer], start_command: Any, tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """``make_pair(there=True)`` → a Pair, or one with a single server; the log is shown when the test fails."""
    made: list[Pair] = []

    def make(there: bool = True) -> Pair:
        here = start_redis()
        other = start_redis() if there else None
        env = {
            "HERE": here.url,
            "THERE": other.url if other else f"redis://127.0.0.1:{free_port()}/0",
            "NOTES": str(tmp_path / "notes"),
            "PYTHONPATH": os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)]),
        }
        made.append(Pair(here, other, env, tmp_path, start_command))
        return made[-1]

    yield make
    for pair in made:
        if pair.there is not None:
            pair.there.resume()
        print(pair.said()[-4000:])


def named(queue: HotQueue, name: str) -> Any:
    """Return the task of that name, which the worker has; this process has only its name and kind."""

    return task_by_name(queue, name, is_async=name in ("aquick", "afar"))


def bystander(call: Callable[[], Any], seconds: float) -> list[float]:
    """Send a call every 50 ms for so long; return how long each took, the longest last."""
    took: list[float] = []
    ends = time.monotonic() + seconds
    while (began := time.monotonic()) < ends:
        call().get(timeout=30)
        took.append(time.monotonic() - began)
        let_pass(EVERY - took[-1])
    return sorted(took)


@pytest.mark.parametrize("task", ["quick", "aquick"])
def test_the_other_queue_goes_on_as_if_nothing_were(make_pair: Callable[..., Pair], task: str) -> None:
    pair = make_pair()
    pair.start("-p1")
    here, there = pair.queue("here", pair.env["HERE"]), pair.queue("there", pair.env["THERE"])
    quick, far = named(here, task), named(there, "far")
    assert (quick.delay(1).get(30), far.delay("a").get(30)) == (1, "a")
    pair.there.pause()  # type: ignore[union-attr]
    took = bystander(lambda: quick.delay(2), OUTAGE)
    assert took[len(took) // 2] < allowed(0.1)
    assert took[-1] < allowed(1.0)
    pair.there.resume()  # type: ignore[union-attr]
    assert far.delay("b").get(30) == "b"
    assert pair.noted() == ["a", "b"]


@pytest.mark.parametrize("task", ["quick", "aquick"])
def test_half_a_reply_is_waited_for_as_none_is(make_pair: Callable[..., Pair], task: str) -> None:
    """It ends wherever the server was stopped, which here wrote it in two parts, or wherever the network failed."""
    pair = make_pair()
    proxy = Proxy(pair.env["THERE"])
    pair.env["THERE"] = proxy.url
    pair.start("-p1")
    here, there = pair.queue("here", pair.env["HERE"]), pair.queue("there", pair.env["THERE"])
    quick, far = named(here, task), named(there, "far" if task == "quick" else "afar")
    assert (quick.delay(1).get(30), far.delay("a").get(30)) == (1, "a")
    proxy.add(Fault(HALF_REPLY, scripts.STEP.sha))
    last = far.delay("b")
    wait_until(lambda: proxy.faults[HALF_REPLY] == 1)
    assert bystander(lambda: quick.delay(2), 2.0)[-1] < allowed(1.0)
    proxy.pass_rest()
    assert last.get(30) == "b"
    assert Counter(pair.noted()) == {"a": 1, "b": 1}
    proxy.close()


@pytest.mark.parametrize("task", ["quick", "aquick"])
def test_an_idle_worker_sleeps_while_an_answer_is_under_way(make_pair: Callable[..., Pair], task: str) -> None:
    pair = make_pair()
    pair.start("-p1")
    here = pair.queue("here", pair.env["HERE"])
    named(here, task).delay(1).get(30)
    pair.there.pause()  # type: ignore[union-attr]
    before = _looks(here)
    let_pass(OUTAGE)  # it asks the silent one within three seconds, and waits five for the answer
    assert _looks(here) - before <= 10


def _looks(queue: HotQueue) -> int:
    """Return how often workers have gone to sleep at a queue's server."""
    return int(queue._store.client().info("commandstats")["cmdstat_blpop"]["calls"])


@pytest.mark.parametrize("app", ["two_servers", "one_server"])
def test_a_process_says_once_that_a_server_is_away_and_is_back(make_pair: Callable[..., Pair], app: str) -> None:
    pair = make_pair()
    server, queue = (pair.there, ("there", "THERE")) if app == "two_servers" else (pair.here, ("here", "HERE"))
    assert server is not None
    pair.start("-p1", "-t4", app=app)
    call = named(pair.queue(queue[0], pair.env[queue[1]]), "far" if app == "two_servers" else "quick")
    assert [each.get(30) for each in call.map(range(8))] == list(range(8))
    server.pause()
    wait_until(lambda: len(pair.lines("trying again until it answers")) > 0, what="it is noticed")
    # an idle one looks every three seconds, and waits five for the answer
    holds_for(lambda: len(pair.lines("trying again until it answers")) == 1, OUTAGE + 3, "it is said once", every=0.1)
    server.resume()
    assert [each.get(30) for each in call.map(range(8))] == list(range(8))
    wait_until(lambda: len(pair.lines("answers again")) > 0, what="it is said")
    pair.workers[0].send_signal(signal.SIGTERM)
    pair.workers[0].wait(40)
    assert [len(pair.lines(what)) for what in ("trying again until it answers", "answers again")] == [1, 1]


def test_two_servers_may_have_queues_of_one_name(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    pair.env["NAME_THERE"] = "here"
    pair.start("-p1")
    here, there = pair.queue("here", pair.env["HERE"]), pair.queue("here", pair.env["THERE"])
    quick, far = named(here, "quick"), named(there, "far")
    dead = named(there, "die").delay()
    assert (quick.delay(1).get(30), far.delay("a").get(30)) == (1, "a")
    with pytest.raises(WorkerLost):
        dead.get(60)
    assert [task.id for task in there.dead()] == [dead.id]
    assert (list(here.dead()), here.pending(), there.pending()) == ([], 0, 0)
    pair.there.pause()  # type: ignore[union-attr]
    assert bystander(lambda: quick.delay(2), 2.0)[-1] < allowed(1.0)
    pair.there.resume()  # type: ignore[union-attr]
    assert far.delay("b").get(30) == "b"
    assert Counter(pair.noted()) == {"a": 1, "b": 1}


def test_what_ran_there_when_it_fell_silent_is_told_when_it_is_back_and_runs_once(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    pair.start("-p1")
    quick, afar = named(pair.queue("here", pair.env["HERE"]), "quick"), named(pair.queue("there", pair.env["THERE"]), "afar")
    running = [afar.delay(f"a{n}", 1.0) for n in range(10)]
    wait_until(lambda: len(pair.noted()) == 10)
    pair.there.pause()  # type: ignore[union-attr]
    took = bystander(lambda: quick.delay(2), OUTAGE)
    assert took[-1] < allowed(1.0)
    pair.there.resume()  # type: ignore[union-attr]
    assert [result.get(30) for result in running] == [f"a{n}" for n in range(10)]
    assert Counter(pair.noted()) == {f"a{n}": 1 for n in range(10)}


def test_a_worker_leaves_in_time_and_tells_the_others(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    worker = pair.start("-p1", "--grace", "8")
    here, there = pair.queue("here", pair.env["HERE"]), pair.queue("there", pair.env["THERE"])
    assert named(there, "far").delay("a").get(30) == "a"
    pair.there.pause()  # type: ignore[union-attr]
    result = named(here, "slow").delay("s", 1.0)
    wait_until(lambda: "s" in pair.noted())
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert result.get(30) == "s"
    assert worker.wait(20) == 0
    # A second for the task, two for what is under way, two to say goodbye, one for what is owed.
    assert time.monotonic() - began < allowed(8)
    assert pair.here.client().zcard(keys.workers("here")) == 0


def test_a_fetch_under_way_at_a_silent_server_is_not_waited_for_at_the_end(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    proxy = Proxy(pair.env["THERE"])
    pair.env["THERE"] = proxy.url
    worker = pair.start("-p1")
    assert named(pair.queue("here", pair.env["HERE"]), "quick").delay(1).get(30) == 1
    proxy.add(Fault(SILENCE, scripts.STEP.sha))
    wait_until(lambda: proxy.swallowed, what="it asks for tasks there")
    proxy.fall_silent()
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert time.monotonic() - began < allowed(6)  # two for the fetch, two for saying goodbye, one for what is owed
    assert pair.here.client().zcard(keys.workers("here")) == 0
    proxy.close()


def test_many_queues_of_a_server_that_has_just_fallen_silent_are_left_in_no_longer_than_one(
    make_pair: Callable[..., Pair],
) -> None:
    pair = make_pair()
    worker = pair.start("-p1", app="two_servers_of_many")
    assert named(pair.queue("here", pair.env["HERE"]), "quick").delay(1).get(30) == 1
    wait_until(lambda: all(pair.there.client().zcard(keys.workers(f"there{n}")) == 1 for n in range(MANY)))  # type: ignore[union-attr]
    pair.there.pause()  # type: ignore[union-attr]
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0
    assert time.monotonic() - began < allowed(6)  # of 25
    assert pair.said().count("could not leave queue") <= 1
    assert pair.here.client().zcard(keys.workers("here")) == 0


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "down"])
def test_a_worker_begins_without_a_server_that_is_away(make_pair: Callable[..., Pair], is_silent: bool) -> None:
    pair = make_pair(there=is_silent)
    if is_silent:
        pair.there.pause()  # type: ignore[union-attr]
    began = time.monotonic()
    pair.start("-p2")
    assert named(pair.queue("here", pair.env["HERE"]), "quick").delay(3).get(30) == 3
    assert time.monotonic() - began < allowed(8)
    assert "the queues there wait for it (there), the others begin" in pair.said()
    if is_silent:
        pair.there.resume()  # type: ignore[union-attr]
        assert named(pair.queue("there", pair.env["THERE"]), "far").delay("late").get(30) == "late"


class TestCluster:
    COUNT = 20

    @pytest.fixture
    def cluster(self, tmp_path: Path) -> Iterator[Cluster]:
        made = Cluster(tmp_path / "cluster", "--cluster-require-full-coverage", "no")
        yield made
        for node in made.nodes:
            node.resume()
        made.stop()

    def test_a_silent_node_costs_the_queues_of_the_others_nothing(
        self, cluster: Cluster, start_command: Any, tmp_path: Path
    ) -> None:
        pair = Pair(cluster.nodes[0], None, {}, tmp_path, start_command)
        pair.env = {
            "STORE": cluster.url,
            "QUEUE": "q",
            "COUNT": str(self.COUNT),
            "NOTES": str(tmp_path / "notes"),
            "PYTHONPATH": os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)]),
        }
        worker = pair.start("-p2", "--lease", "4", app="twenty_queues")
        second = pair.start("-p1", "--lease", "4", app="twenty_queues")  # who would reap a worker whose lease ran out
        names = [f"q-{n}" for n in range(self.COUNT)]
        clients = [node.client() for node in cluster.nodes]
        at = {name: n for name in names for n, client in enumerate(clients) if self.is_at(client, name)}
        silent = at[names[0]]
        healthy = [name for name in names if at[name] != silent]
        assert healthy
        for name in names:
            assert named(HotQueue(name, url=cluster.url), "quick").delay(1).get(30) == 1
        queue = HotQueue(healthy[0], url=cluster.url)
        long = named(queue, "slow").delay("long", 9.0)
        quick = named(queue, "quick")
        wait_until(lambda: pair.noted())
        cluster.nodes[silent].pause()

        def all_leases_run() -> bool:
            quick.delay(2).get(30)
            return all(self.leases_run(clients[at[name]], name) for name in healthy)

        holds_for(all_leases_run, 8, every=0.1)
        assert long.get(30) == "long"
        cluster.nodes[silent].resume()
        assert pair.noted() == [f"{healthy[0]} long"]
        assert "is lost" not in pair.said()
        assert named(HotQueue(names[0], url=cluster.url), "quick").delay(3).get(30) == 3
        for each in (worker, second):
            each.send_signal(signal.SIGTERM)
            assert each.wait(20) == 0

    def leases_run(self, client: Any, name: str) -> bool:
        seconds, micros = client.time()
        deadlines = [deadline for _, deadline in client.zrange(keys.workers(name), 0, -1, withscores=True)]
        return all(abs(deadline) > seconds * 1000 + micros / 1000 for deadline in deadlines)

    def is_at(self, client: Any, name: str) -> bool:
        try:
            client.exists(keys.tasks(name))
        except Exception:
            return False
        return True
