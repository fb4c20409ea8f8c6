"""What statistics cost: Redis instructions of sending and draining, and the worker's CPU, beside another checkout.

python -m bench.statistics --source DIR [--rounds 7] [--tasks 20000] [--only redis,cpu,memory] [--server PATH]

`--source` is a checkout of the commit before. What is counted:

- redis: instructions of a redis-server under callgrind, a task: sent by `delay`, by `map`, drained by a worker of this process,
  and lone: each sent by `delay` once the one before was waited for. It is the difference of two numbers of tasks, so that what a
  server does anyway is not in it. It includes all that upkeep does meanwhile, as folding in.
- cpu: user and system time of the worker's thread in a drain of tasks that do nothing, pairs in turns, the median of ratios;
  of the whole process, with its upkeep; and of the thread that sends by `delay`.
- memory: what Redis takes for the rows of a name that has run all the year, and for those of a month of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import redis

from bench import servers
from hotqueue.tasks.rules.tally import Tally

ROOT = Path(__file__).resolve().parents[1]
CASE = """
import json, os, resource, sys, threading, time
from hotqueue import HotQueue

queue = HotQueue("statistics", url=os.environ["STORE"])

@queue.task(name="bench.nothing", ignore_result=True)
def nothing(n): ...

def cpu(what):
    used = resource.getrusage(what)
    return used.ru_utime + used.ru_stime

@queue.task(name="bench.same")
def same(n):
    return n

what, number = sys.argv[1], int(sys.argv[2])
nothing.delay(0)
queue.run_worker(burst=True)
if what == "lone":
    worker = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": number})
    worker.start()
    for n in range(number):
        same.delay(n).get(timeout=60)
    worker.join()
    print("{}")
    sys.exit()
began = cpu(resource.RUSAGE_THREAD)
if what == "delay":
    for n in range(number):
        nothing.delay(n)
elif what != "connect":
    nothing.map(range(number))
sent = cpu(resource.RUSAGE_THREAD)
if what == "drain":
    before, all_before = cpu(resource.RUSAGE_THREAD), cpu(resource.RUSAGE_SELF)
    assert queue.run_worker(burst=True) == number
    after, all_after = cpu(resource.RUSAGE_THREAD), cpu(resource.RUSAGE_SELF)
    print(json.dumps({"worker": (after - before) / number * 1e6, "process": (all_after - all_before) / number * 1e6}))
else:
    print(json.dumps({"client": (sent - began) / max(1, number) * 1e6}))
"""
REDIS = {
    "delay": ("delay", 300, 1300),
    "map": ("map", 1000, 4000),
    "drain": ("drain", 1000, 4000),
    "lone": ("lone", 50, 450),
}


def run_case(tree: Path, url: str, what: str, number: int) -> dict[str, float]:
    """Run a case with the hotqueue of a checkout."""
    env = {**os.environ, "PYTHONPATH": str(tree), "STORE": url, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-P", "-c", CASE, what, str(number)]
    said = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said)
    return found


@contextlib.contextmanager
def counted(binary: str, folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Run a redis-server under callgrind; behind the `with`, the list has the number of its instructions."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    out = folder / f"callgrind.{port}"
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"]
    server = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([*valgrind, *server, "--hz", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    instructions: list[int] = []
    try:
        client = redis.Redis(port=port)
        for _ in range(600):
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                break
            time.sleep(0.1)
        yield f"redis://127.0.0.1:{port}/0", instructions
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
        instructions.append(int(found[1]) if found else 0)


def instructions_of(tree: Path, binary: str, folder: Path, name: str) -> float:
    """Return the instructions of Redis, a task."""
    what, few, many = REDIS[name]
    found = []
    for number in (few, many):
        with counted(binary, folder) as (url, instructions):
            run_case(tree, url, what, number)
        found.append(instructions[0])
    return (found[1] - found[0]) / (many - few)


def redis_costs(trees: list[Path], binary: str) -> None:
    """Print what Redis pays."""
    with tempfile.TemporaryDirectory() as folder:
        for name in REDIS:
            before, after = (instructions_of(tree, binary, Path(folder), name) for tree in trees)
            if name == "drain":
                mapped = [instructions_of(tree, binary, Path(folder), "map") for tree in trees]
                before, after = before - mapped[0], after - mapped[1]
            print(f"redis   {name:12s} {before:10.0f} {after:10.0f} instructions a task  ×{after / before:.4f}", flush=True)


def cpu_costs(trees: list[Path], rounds: int, tasks: int) -> None:
    """Print what the worker, and a client, pay."""
    found: dict[str, list[list[float]]] = {"worker": [], "process": [], "client": []}
    with tempfile.TemporaryDirectory() as folder, servers.run("redis-server", Path(folder) / "server") as server:
        for n in range(rounds):
            pair: list[dict[str, float]] = [{}, {}]
            for at in (0, 1) if n % 2 else (1, 0):
                server.client.flushall()
                pair[at] = run_case(trees[at], server.hotqueue_url, "drain", tasks)
                server.client.flushall()
                pair[at] |= run_case(trees[at], server.hotqueue_url, "delay", tasks // 4)
            for name, values in found.items():
                values.append([each[name] for each in pair])
    for name, values in found.items():
        before, after = (median([each[at] for each in values]) for at in (0, 1))
        ratio = median([each[1] / each[0] for each in values])
        least = min(each[1] for each in values) / min(each[0] for each in values)
        print(f"cpu     {name:12s} {before:10.2f} {after:10.2f} µs a task  ×{ratio:.4f} (of the least ×{least:.4f})", flush=True)


def memory() -> None:
    """Print what Redis takes for the rows of a name that runs all the year, and for those of a month of it."""
    from hotqueue.tasks.broker.statistics import field_of
    from hotqueue.tasks.rules.tally import KEPT

    with tempfile.TemporaryDirectory() as folder, servers.run("redis-server", Path(folder) / "server") as server:
        for hourly in (100, 1000, 10_000):
            server.client.flushall()
            before, each = server.memory(), {}
            for step, number in ((60, hourly // 60), (3600, hourly), (86400, 20 * hourly)):
                some = [_busy(seed, max(1, number)) for seed in range(10)]
                each[step] = [some[n % 10].encode(20_000 + n) for n in range(KEPT[step])]
            for name in range(1, 6):
                rows = {field_of(step, name, 20_000 + n): row for step in each for n, row in enumerate(each[step])}
                server.client.hset("{hotqueue:memory}:statistics", mapping=rows)
            year = (server.memory() - before) / 5
            days = sum(len(row) + 70 for row in each[86400][31:])
            print(
                f"memory  {hourly:6d} tasks an hour  a year {year / 1000:4.0f} KB  a month {(year - days) / 1000:4.0f} KB",
                flush=True,
            )


def _busy(seed: int, number: int) -> Tally:
    """Return what so many tasks did, whose times are spread over two decades."""
    draw, tally = random.Random(seed), Tally()
    for what, part in (("enqueued", 1.0), ("started", 1.02), ("succeeded", 0.98), ("failed", 0.02), ("retried", 0.02)):
        tally.count(what, int(number * part))
    tally.ran([draw.lognormvariate(-2, 0.6) for _ in range(number)])
    tally.waited([draw.lognormvariate(-4, 0.9) for _ in range(number)])
    for _ in range(number):
        tally.needed(1 + (draw.random() < 0.02))
    return tally


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="a checkout of the commit before")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--only", default="redis,cpu,memory")
    parser.add_argument("--server", default="", help="the redis-server to count; the system's if not given")
    given = parser.parse_args()
    wanted = given.only.split(",")
    trees = [given.source.resolve(), ROOT] if given.source else [ROOT, ROOT]
    if "redis" in wanted:
        redis_costs(trees, given.server or servers.binary())
    if "cpu" in wanted:
        cpu_costs(trees, given.rounds, given.tasks)
    if "memory" in wanted:
        memory()


if __name__ == "__main__":
    main()
