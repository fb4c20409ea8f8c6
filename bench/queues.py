"""What a worker of many queues costs: idle, at its start, and for a lone call. One line a count of queues.

    python -m bench.queues --counts 1,200,1000 --server redis-server,cluster --source ../another-checkout

Commands are counted by INFO commandstats, those in scripts included; they are sums over all nodes, connections are those of the
node that has the most. A call is delay() and get() of a no-op, at queues drawn at random, from a client that is connected, in
turns with calls to the other counts: compare the ratios, and not the times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import processes
from tests.support.servers import Cluster, RedisServer

MODULE = """
import os
from hotqueue import HotQueue
for n in range(int(os.environ["COUNT"])):
    globals()[f"queue{n}"] = HotQueue(f"tenant-{n}", url=os.environ["STORE"])
@queue0.task(name="nothing")
def nothing():
    pass
"""
CALLER = """
import os, random, sys, time
from hotqueue import HotQueue
def task_of(queue):
    @queue.task(name="nothing")
    def nothing():
        pass
    return nothing
draw, some = random.Random(7), {}
for count, url in zip(sys.argv[2::2], sys.argv[3::2]):
    numbers = draw.sample(range(int(count)), min(int(count), 40))
    some[count] = [task_of(HotQueue(f"tenant-{n}", url=url)) for n in numbers]
    for task in some[count]:
        task.delay().get(60)
for _ in range(int(sys.argv[1])):
    for count, tasks in some.items():
        time.sleep(0.005)
        task = draw.choice(tasks)
        began = time.perf_counter()
        task.delay().get(60)
        print(count, time.perf_counter() - began, flush=True)
"""


@contextmanager
def started(kind: str, folder: Path) -> Iterator[tuple[str, list[Any]]]:
    """Start a server of a kind; yield its URL and a client of each node."""
    server = Cluster(folder) if kind == "cluster" else RedisServer(folder)
    nodes = server.nodes if isinstance(server, Cluster) else [server]
    try:
        yield server.url, [node.client(decode_responses=True) for node in nodes]
    finally:
        server.stop()


def commands(clients: list[Any]) -> dict[str, int]:
    """Return how often each command was carried out, by scripts as well."""
    found: dict[str, int] = {}
    for client in clients:
        for name, stats in client.info("commandstats").items():
            what = name.removeprefix("cmdstat_")
            if what not in ("info", "client|list", "config|resetstat"):
                found[what] = found.get(what, 0) + stats["calls"]
    return found


def connections(clients: list[Any]) -> int:
    """Return the connections of the node that has the most, less ours and the bus's."""
    return max(len(client.client_list()) for client in clients) - 1


def workers_of(clients: list[Any], count: int) -> int:
    """Return at how many queues workers are registered, so far."""
    pipes = [client.pipeline(transaction=False) for client in clients[:1]]
    cluster = len(clients) > 1
    if cluster:
        return sum(sum(1 for _ in client.scan_iter("*}:workers", count=10_000)) for client in clients)
    for n in range(count):
        pipes[0].exists(f"{{hotqueue:tenant-{n}}}:workers")
    return sum(pipes[0].execute())


@contextmanager
def working(kind: str, count: int, source: Path, glob: bool, options: list[str]) -> Iterator[tuple[str, list[Any], int, float]]:
    """Have a worker of so many queues at a server of its own; yield its URL, clients, the worker's pid, its seconds to begin."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench_tasks.py").write_text(MODULE)
        with started(kind, folder / "server") as (url, clients):
            env = {
                **os.environ,
                "PYTHONSAFEPATH": "1",  # not what lies where this was started
                "STORE": url,
                "COUNT": "1" if glob else str(count),
                "PYTHONPATH": os.pathsep.join([str(source), name]),
            }
            run = ["-c", "from hotqueue.cli.worker import main; main()"]
            which = ["-Q", "tenant-*"] if glob else []
            if glob:
                _make_queues(url, count)
            began = time.monotonic()
            worker = processes.start([sys.executable, *run, "bench_tasks", "-p2", *which, *options], env, folder / "log")
            try:
                while workers_of(clients, count) < count:
                    time.sleep(0.02)
                    if time.monotonic() > began + 120:
                        raise SystemExit((folder / "log").read_text())
                yield url, clients, worker.pid, time.monotonic() - began
            finally:
                processes.stop([worker])


def measure(kind: str, counts: list[int], source: Path, seconds: float, calls: int, glob: bool, options: list[str]) -> None:
    """Measure a worker of each of so many queues: idle one after another, then calls to all of them in turns."""
    with ExitStack() as stack:
        rest: list[str] = []
        for count in counts:
            url, clients, pid, start = stack.enter_context(working(kind, count, source, glob, options))
            time.sleep(6)
            found = _idle(clients, pid, seconds)
            rest += [str(count), url]
            print(
                f"{kind:>13} {count:>5} queues: start {start:.2f} s; idle {found['commands']:.0f} commands/s, "
                f"{found['connections']} connections a node, {found['rss']:.0f} MiB RSS ({found['pss']:.0f} PSS), "
                f"{found['cpu']:.1f} % CPU",
                flush=True,
            )
        took = _calls(source, calls, rest)
        for count in counts:
            ratio = statistics.median(one / other for one, other in zip(took[count], took[counts[0]], strict=True))
            print(
                f"{kind:>13} {count:>5} queues: call p50 {1e3 * statistics.median(took[count]):.2f} ms, median of ratios to "
                f"{counts[0]}: {ratio:.2f}",
                flush=True,
            )


def _make_queues(url: str, count: int) -> None:
    from hotqueue import HotQueue

    for n in range(count):
        with HotQueue(f"tenant-{n}", url=url) as queue:
            queue.submit(print, "x").revoke()


def _idle(clients: list[Any], pid: int, seconds: float) -> dict[str, float]:
    pids = processes.tree(pid)
    before, cpu = commands(clients), processes.cpu(pids)
    began, most = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        time.sleep(0.5)
        most = max(most, connections(clients))
    passed = time.monotonic() - began
    after = commands(clients)
    by_name = {name: (count - before.get(name, 0)) / passed for name, count in after.items()}
    print("   ", ", ".join(f"{n} {c:.1f}" for n, c in sorted(by_name.items(), key=lambda i: -i[1]) if c > 0.5), flush=True)
    memory = [processes.memory(each) for each in pids]
    return {
        "commands": sum(by_name.values()),
        "connections": most,
        "pss": sum(each["pss"] for each in memory),
        "rss": sum(each["rss"] for each in memory),
        "cpu": 100 * (processes.cpu(pids) - cpu) / passed,
    }


def _calls(source: Path, calls: int, which: list[str]) -> dict[int, list[float]]:
    """Return how long calls took, in turns at the servers of so many queues, so that what else the machine does is shared."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "caller.py").write_text(CALLER)
        env = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(source)}
        caller = processes.start([sys.executable, str(Path(name) / "caller.py"), str(calls), *which], env, Path(name) / "calls")
        if caller.wait():
            raise SystemExit((Path(name) / "calls").read_text())
        found: dict[int, list[float]] = {}
        for line in (Path(name) / "calls").read_text().splitlines():
            count, seconds = line.split()
            found.setdefault(int(count), []).append(float(seconds))
        return found


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="1,200,1000")
    parser.add_argument("--server", default="redis-server")
    parser.add_argument("--source", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--glob", action="store_true", help="the worker has -Q 'tenant-*'")
    given, options = parser.parse_known_args()
    for kind in given.server.split(","):
        counts = [int(count) for count in given.counts.split(",")]
        measure(kind, counts, given.source.resolve(), given.seconds, given.calls, given.glob, options)


if __name__ == "__main__":
    main()
