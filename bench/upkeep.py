"""What idle workers of many queues cost: commands of upkeep and of the workers themselves, CPU of supervisors and of Redis.

python -m bench.upkeep [--queues 1 200 1000] [--workers 1 10] [--seconds 10] [--used N] [--due N] [--json] [--source DIR]

Each case is a private redis-server and so many `hotqueue-worker -p1`, which serve all of the queues. Commands are counted by
INFO commandstats, those within scripts as well. A case is counted twice: as it is, and with the worker processes stopped
(SIGSTOP, shorter than any supervisor minds), which leaves what supervisors do. `--used` gives the first so many queues a task for
next year, so that there is something to look after; `--due` then sends so many tasks with a countdown, one after another to
queues taken in turn, and says how late they started. A case of ten workers and 1,000 queues takes about a minute and 700 MiB.

Of n supervisors each does its share: `model` extrapolates to a hundred, from the figures of the last two numbers of workers, as
commands = a + b × workers.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import processes, servers

ROOT = Path(__file__).resolve().parents[1]
APP = """
import os, time
from hotqueue import HotQueue

def make(n):
    queue = HotQueue(f"tenant-{n}", url=os.environ["STORE"])
    @queue.task(name="late")
    def late(due):
        return time.time() - due
    return queue, late

made = [make(n) for n in range(int(os.environ["COUNT"]))]
globals().update({f"queue{n}": queue for n, (queue, _) in enumerate(made)})
"""
WAIT = 120.0  # seconds until all workers are at all queues
SETTLE = 3.0  # seconds after that
STOPPED = 20.0  # seconds that worker processes may be stopped at most: a supervisor replaces what is stuck for 30


def commands(server: servers.Server) -> dict[str, int]:
    """Return how often each command was carried out, within scripts as well; without what asking takes."""
    found = server.client.info("commandstats")
    asking = ("info", "ping", "config|resetstat", "client|setinfo", "client|setname", "hello")
    return {name.removeprefix("cmdstat_"): each["calls"] for name, each in found.items() if name[8:] not in asking}


def rates(server: servers.Server, seconds: float, supervisors: list[int]) -> dict[str, Any]:
    """Return commands a second, and µs of CPU a second of a supervisor and of the server."""
    before, work, cpu, began = commands(server), server.work(), processes.cpu(supervisors), time.monotonic()
    time.sleep(seconds)
    after, now, spent = commands(server), server.work(), time.monotonic() - began
    used = (processes.cpu(supervisors) - cpu) / spent / len(supervisors)
    each = {name: (count - before.get(name, 0)) / spent for name, count in after.items() if count > before.get(name, 0)}
    return {
        "commands": round(sum(each.values()), 1),
        "by name": {name: round(rate, 1) for name, rate in sorted(each.items(), key=lambda one: -one[1])[:8]},
        "redis ms": round((now["redis_cpu"] - work["redis_cpu"]) / spent / 1000, 1),
        "supervisor ms": round(1000 * used, 1),
    }


class Case:
    """Some workers of some queues."""

    def __init__(self, queues: int, workers: int, source: Path, folder: Path, server: servers.Server) -> None:
        self.queues, self.count, self.server, self.folder = queues, workers, server, folder
        (folder / "idle_app.py").write_text(APP)
        path = os.pathsep.join([str(source), str(folder)])
        self.env = {**os.environ, "STORE": server.hotqueue_url, "COUNT": str(queues), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> float:
        """Start the workers; return the seconds until all were at all queues."""
        began = time.monotonic()
        command = [sys.executable, "-c", "from hotqueue.cli.worker import main; main()", "idle_app", "-p1"]
        self.workers = [processes.start(command, self.env, self.folder / "log") for _ in range(self.count)]
        for n in (0, self.queues // 2, self.queues - 1):
            while self.server.client.zcard(f"{{hotqueue:tenant-{n}}}:workers") < self.count:
                if time.monotonic() - began > WAIT or self.workers[0].poll() is not None:
                    raise SystemExit(f"bench: the workers did not register: {(self.folder / 'log').read_text()[-2000:]}")
                time.sleep(0.02)
        return time.monotonic() - began

    def use(self, count: int) -> None:
        """Give some queues a task for next year."""
        code = f"import idle_app\nfor _, late in idle_app.made[:{count}]: late.apply_async((0.0,), countdown=3e7)"
        subprocess.run([sys.executable, "-c", code], env=self.env, check=True)

    def lateness(self, count: int) -> list[float]:
        """Return how many ms late tasks started that were due in a moment."""
        code = (
            "import idle_app, time, json\nfound = []\n"
            f"for n in range({count}):\n"
            f"    _, late = idle_app.made[(37 * n) % {self.queues}]\n"
            "    wait = 0.3 + n % 5 / 5\n"
            "    found.append(1000 * late.apply_async((time.time() + wait,), countdown=wait).get(30))\n"
            "print(json.dumps(found))"
        )
        told = subprocess.run([sys.executable, "-c", code], env=self.env, check=True, capture_output=True, text=True)
        return [float(each) for each in json.loads(told.stdout)]

    def stopped(self, seconds: float) -> dict[str, Any]:
        """Return the rates while the worker processes are stopped."""
        children = [pid for worker in self.workers for pid in processes.tree(worker.pid)[1:]]
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(1.0)  # what they had under way ends
            return rates(self.server, min(seconds, STOPPED), [worker.pid for worker in self.workers])
        finally:
            for pid in children:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> float:
        """Stop the workers in good order; return how long that took."""
        began = time.monotonic()
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        try:
            for worker in self.workers:
                worker.wait(40)
        finally:
            processes.stop([worker for worker in self.workers if worker.poll() is None])
        return time.monotonic() - began


def measure(queues: int, workers: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one case."""
    with tempfile.TemporaryDirectory() as place, servers.run("redis-server", Path(place) / "redis") as server:
        case = Case(queues, workers, args.source, Path(place), server)
        try:
            found: dict[str, Any] = {"queues": queues, "workers": workers, "registered s": round(case.start(), 2)}
            case.use(min(args.used, queues))
            time.sleep(SETTLE)
            found["all"] = rates(server, args.seconds, [worker.pid for worker in case.workers])
            found["upkeep"] = case.stopped(args.seconds)
            if args.due:
                late = case.lateness(args.due)
                found["late ms"] = [round(each, 1) for each in (statistics.median(late), max(late))]
            found["connections"] = len(server.client.client_list()) - 1
        finally:
            left = case.stop()
        return {**found, "stopped s": round(left, 2)}


def model(cases: list[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """Return what so many workers would come to, for each number of queues."""
    found = []
    for queues in sorted({each["queues"] for each in cases}):
        points = sorted(
            (each["workers"], each["upkeep"]["commands"], each["all"]["commands"]) for each in cases if each["queues"] == queues
        )
        if len(points) > 1:
            (few, low, low_all), (many, high, high_all) = points[-2:]
            upkeep, everything = ((b - a) / (many - few) * (workers - few) + a for a, b in ((low, high), (low_all, high_all)))
            found.append({"queues": queues, "workers": workers, "upkeep": round(upkeep), "all": round(everything)})
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, nargs="+", default=[1, 200, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--used", type=int, default=0)
    parser.add_argument("--due", type=int, default=0)
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout that is measured")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cases = []
    for queues in args.queues:
        for workers in args.workers:
            cases.append(measure(queues, workers, args))
            if not args.json:
                print(cases[-1], flush=True)
    told = model(cases, 100)
    print(json.dumps({"cases": cases, "model": told}) if args.json else "\n".join(map(str, told)))


if __name__ == "__main__":
    main()
