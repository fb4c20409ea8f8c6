"""Many queues on one server cost what a few do: a bell that rings has its queue asked alone, upkeep is one trip for all.

Of this kind: whatever a worker or its supervisor does once for each queue, in a row: asking, registering, sweeping, leaving; on
a slow network that is what makes leases run out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from tests.crash.test_silent_servers import named
from tests.crash.workers import APPS, BANNER
from tests.support.durations import let_pass
from tests.support.proxy import Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, holds_for, wait_until

MANY = 120
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(start_command: Any, tmp_path: Path) -> Iterator[Start]:
    """``start(url, *options, count=MANY)`` → a worker of so many queues, q-0 and so on, once it is ready."""
    logs: list[Path] = []

    def begin(url: str, *options: str, count: int = MANY) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
        env = {"STORE": url, "QUEUE": "q", "COUNT": str(count), "NOTES": str(tmp_path / "notes"), "PYTHONPATH": path}
        logs.append(tmp_path / f"worker{len(logs)}.log")
        with open(logs[-1], "w") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            worker: subprocess.Popen[str] = start_command("hotqueue-worker", "twenty_queues", *options, env=env, **pipes)
        wait_until(lambda: BANNER in logs[-1].read_text(), what="the worker is ready")
        return worker

    yield begin
    for log in logs:
        print(log.read_text()[-3000:])


def registered(redis: Any, count: int = MANY) -> bool:
    return all(redis.zcard(keys.workers(f"q-{n}")) for n in range(count))


def requests_while(redis: Any, seconds: float) -> int:
    """Return how many scripts and blocking commands a server is sent meanwhile, in so many seconds."""
    redis.config_resetstat()
    let_pass(seconds)  # what is measured is a rate
    stats = redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "blpop", "hlen", "llen"))


def test_a_call_to_one_of_many_queues_asks_that_queue_alone(start_redis: Callable[..., RedisServer], start: Start) -> None:
    server = start_redis()
    start(server.url, "-p1")
    redis = server.client()
    wait_until(lambda: registered(redis))
    quick = named(HotQueue("q-60", url=server.url), "quick")
    assert quick.delay(0).get(30) == 0
    took = []
    for n in range(20):
        began = time.monotonic()
        assert quick.delay(n).get(30) == n
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < allowed(0.02)


def test_one_connection_listens_to_all_bells_of_a_server(start_redis: Callable[..., RedisServer], start: Start) -> None:
    server = start_redis()
    start(server.url, "-p1")
    redis = server.client()
    wait_until(lambda: registered(redis))
    workers = 2  # of sync tasks, and of `async def`: each sleeps by itself
    wait_until(lambda: sum(c["cmd"] == "blpop" for c in redis.client_list()) >= workers)
    assert sum(c["cmd"] == "blpop" for c in redis.client_list()) == workers
    assert len(redis.client_list()) < 12


def test_an_idle_worker_of_many_queues_sends_little(start_redis: Callable[..., RedisServer], start: Start) -> None:
    server = start_redis()
    start(server.url, "-p2")
    redis = server.client()
    wait_until(lambda: registered(redis))
    before = int(redis.info("stats")["total_commands_processed"])
    requests = requests_while(redis, 4.0)
    assert requests / 4 < 0.7 * MANY  # a look at all now and then, by workers one at a time
    assert before


def test_no_lease_runs_out_at_a_tenth_of_a_second_of_round_trip(
    start_redis: Callable[..., RedisServer], start: Start, tmp_path: Path
) -> None:
    server = start_redis()
    proxy = Proxy(server.url)
    proxy.latency = (0.1, 0.0)
    workers = [start(proxy.url, "-p1", "--lease", "5"), start(proxy.url, "-p1", "--lease", "5")]
    redis = server.client()
    wait_until(lambda: all(redis.zcard(keys.workers(f"q-{n}")) >= 2 for n in range(MANY)))

    def all_leases_run() -> bool:
        seconds, micros = redis.time()
        now = seconds * 1000 + micros / 1000
        found = [redis.zrange(keys.workers(f"q-{n}"), 0, -1, withscores=True) for n in range(0, MANY, 7)]
        return all(abs(deadline) > now for workers in found for _, deadline in workers)

    running = [named(HotQueue(f"q-{n}", url=server.url), "slow").delay(0, 9.0) for n in (0, 14)]
    wait_until(
        lambda: sum(at > 0 for n in (0, 14) for _, at in redis.zrange(keys.workers(f"q-{n}"), 0, -1, withscores=True)) == 2
    )
    holds_for(all_leases_run, 8, every=0.1)
    assert [result.get(30) for result in running] == [0, 0]
    assert sorted((tmp_path / "notes").read_text().split("\n")[:-1]) == ["q-0 0", "q-14 0"]
    began = time.monotonic()
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        assert worker.wait(30) == 0
    assert time.monotonic() - began < allowed(8)
    assert not registered(redis, 1)
    proxy.close()
    for n in range(2):
        said = (tmp_path / f"worker{n}.log").read_text()
        assert "is lost" not in said
        assert "is stopped" not in said
        assert "did not take" not in said


@pytest.mark.parametrize("kind", ["quick", "aquick"])
def test_on_a_slow_network_a_task_waits_for_no_round_of_all_queues(
    start_redis: Callable[..., RedisServer], start: Start, kind: str
) -> None:
    """A round of all queues takes 12 s there, also the one with which a worker begins."""
    server = start_redis()
    proxy = Proxy(server.url)
    proxy.latency = (0.1, 0.0)
    try:
        start(proxy.url, "-p1")
        wait_until(lambda: registered(server.client()))
        task, slowest = named(HotQueue("q-0", url=server.url), kind), 0.0
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            began = time.monotonic()
            task.delay(1).get(30)
            slowest = max(slowest, time.monotonic() - began)
    finally:
        proxy.close()
    assert slowest < allowed(3.0)
