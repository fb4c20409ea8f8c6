"""What gates cost Redis: CPU of a task with each of them, and with all four, beside that of a plain one.

python -m bench.gates [--rounds 3] [--source DIR]

Each figure is one process of its own, which sends tasks by `delay` and is the worker as well, without running anything: what is
counted, by INFO cpu of a private redis-server, is what a task costs Redis, system calls included. "One by one": each is sent,
fetched and settled before the next. "In bulk": 5,000 are sent in batches, then fetched by up to 64. Limits are far away; there
are a thousand keys. All take turns in each round; the least of the rounds counts, since others may use the machine.
`--source` is another checkout, measured in the same rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import servers

ROOT = Path(__file__).resolve().parents[1]
GATES = {
    "plain": "",
    "unique": "unique='u-{a}'",
    "rate_limit": "rate_limit='100000/s', rate_limit_key='r-{b}'",
    "max_concurrency": "max_concurrency=1000, concurrency_key='c-{b}'",
    "fair_key": "fair_key='f-{b}'",
}
GATES["all four"] = ", ".join(filter(None, GATES.values()))
CASE = """
import os, sys
from hotqueue import HotQueue
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Settlement

queue = HotQueue("gates", url=os.environ["STORE"])

@queue.task(%s)
def task(a, b): ...

client = queue._store.client()
session = Session(queue._tasks.broker, "bench", "s")
session.register(600_000, {"host": "bench"})

def done(step):
    return [Settlement(each.id, each.held_as or each.number, "S", b"x" * 100, 60_000, "") for each in step.deliveries]

def one_by_one(number):
    settled = []
    for n in range(number):
        task.delay(n, n %% 1000)
        settled = done(session.step(1, settled))
    session.step(1, settled)

def in_bulk(number):
    with queue.batch():
        for n in range(number):
            task.delay(n, n %% 1000)
    settled = []
    while settled := done(session.step(64, settled)):
        pass

def cpu():
    found = client.info("cpu")
    return found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"]

run, number = {"one by one": (one_by_one, 1000), "in bulk": (in_bulk, 5000)}[sys.argv[1]]
run(50)
before = cpu()
run(number)
print((cpu() - before) / number * 1e6)
"""


def measured(server: servers.Server, source: Path, way: str, options: str) -> float:
    """Return µs of Redis a task."""
    server.client.flushall()
    env = {**os.environ, "PYTHONPATH": str(source), "STORE": server.hotqueue_url}
    found = subprocess.run(
        [sys.executable, "-c", CASE % options, way], capture_output=True, text=True, env=env, cwd=source, check=True
    )
    return float(found.stdout)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path, help="another checkout, to compare with")
    given = parser.parse_args()
    trees = [ROOT] if given.source is None else [given.source.resolve(), ROOT]
    cases = [(way, tree, name) for way in ("one by one", "in bulk") for name in GATES for tree in trees]
    found: dict[tuple[str, Path, str], list[float]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder, servers.run("redis-server", Path(folder) / "server") as server:
        for _ in range(given.rounds):
            for way, tree, name in cases:
                found[way, tree, name].append(measured(server, tree, way, GATES[name]))
    for way, tree, name in cases:
        least, plain = min(found[way, tree, name]), min(found[way, tree, "plain"])
        print(f"{way:10s}  {tree.name:12s}  {name:16s} {least:6.1f} µs  {least / plain:5.2f} × a plain one")


if __name__ == "__main__":
    main()
