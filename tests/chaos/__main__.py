"""``make chaos``: break things at random for a while, and account for every task. Linux only; everything on loopback.

Two wire versions take part: two producers write today's to the end, one writes the next; the workers know today's at first, and
are replaced one by one, at 30 to 60 % of the run, by such as read both. Between, both queues are taken to the schema of the next
version, whose package all producers have: before, it writes today's forms, and then its own. See tests/support/next_version.py.
The same workers serve a second queue on a server of its own, which is frozen now and then and nothing else, and ten idle ones.

The same --seed, --seconds and --server give the same schedule of faults. Exit code 0: nothing was lost, nothing was recorded
twice, the queue drained, no key was left; 1: something was not so; 2: wrong arguments; 130: Ctrl-C, after cleaning up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hotqueue import HotQueueError, keys
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from tests.chaos import report, stores, wire
from tests.chaos.faults import Scene
from tests.chaos.sampler import Sampler
from tests.chaos.schedule import plan
from tests.support import leaks, next_version
from tests.support.counts import counts
from tests.support.durations import let_pass
from tests.support.processes import environment
from tests.support.servers import LEASH
from tests.support.waiting import wait_until, within

DRAIN = 60.0  # seconds after the last fault
PRODUCERS = (wire.NOW, wire.NOW, wire.NEXT)  # the wire version of each
SLOWNESS = {wire.NOW: 1, wire.NEXT: 4}  # fewer calls of the next version: they pile up until there is a worker for them


class Chaos:
    """One run.

    Args:
        folder: for the servers' data and for what is written down.
    """

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.name = f"chaos-{secrets.token_hex(4)}"
        self.notes = folder / "notes"
        self.notes.touch()
        self.files = [folder / f"producer{n}" for n in range(len(PRODUCERS))]
        self.stall = 0.0
        self.blows = plan(args.seed, args.seconds, args.server, args.pace, args.workers)

    def run(self) -> dict[str, Any]:
        """Run it, and return the figures."""
        with ExitStack() as ending:
            self.backend = stores.KINDS[self.args.server](self.folder, self.name)
            ending.callback(self.backend.stop)
            self.other = stores.Single(self.folder, f"{self.name}-other")
            ending.callback(self.other.stop)
            self.lives = [(self.backend.store, self.name), (self.other.store, f"{self.name}-other")]
            self.env = {"CHAOS_QUEUE": self.name, "CHAOS_URL": self.backend.url, "CHAOS_NOTES": str(self.notes)}
            self.env["CHAOS_OTHER_URL"] = self.other.url
            if "HOTQUEUE_SERVER" in os.environ:
                self.env["HOTQUEUE_SERVER"] = os.environ["HOTQUEUE_SERVER"]
            self.following = next_version.make(self.folder / "next")
            log = self.folder / "workers.log"
            scene = Scene(self.backend, self.other, self.name, self.env, log, self.args.workers, self.following)
            ending.callback(scene.stop)
            wait_until(lambda: self._count("ZCARD", keys.workers) >= 4 * self.args.workers, 60, "the workers register")
            samplers = [Sampler(store, name, self.files) for store, name in self.lives]
            for sampler in samplers:
                sampler.start()
            producers = [self._produce(n, ending) for n in range(len(PRODUCERS))]
            self._break(scene)
            last_fault = time.monotonic()
            for producer in producers:
                producer.wait(90)
            unfinished, took = self._drain(scene, last_fault)
            there = {task_id: data for sampler in samplers for task_id, data in sampler.finish().items()}
            wrong = scene.left_by_themselves + scene.stop()
            return self._figures(scene, samplers, there, unfinished, took, wrong)

    def _count(self, command: str, key_of: Callable[[str], str]) -> int:
        """Return what a command says of a key, added up over both queues; -1 when a server does not answer."""
        try:
            return sum(int(store.command(key_of(name), command, key_of(name))) for store, name in self.lives)
        except HotQueueError:
            return -1

    def _produce(self, n: int, ending: ExitStack) -> subprocess.Popen[bytes]:
        poisons = [str(blow.at) for blow in self.blows if blow.kind == "poison" and int(blow.aim * len(PRODUCERS)) == n]
        args = [self.files[n], str(n), f"{self.args.seed} {n}", str(self.args.seconds), SLOWNESS[PRODUCERS[n]], *poisons]
        command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-m", "tests.chaos.producer", *map(str, args)]
        env = environment({**self.env, "CHAOS_NOTES": os.devnull, wire.VARIABLE: str(PRODUCERS[n])})
        env = next_version.environment(self.following, env)  # from the beginning: the queues are taken up meanwhile
        producer = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL)
        ending.callback(producer.wait)
        ending.callback(producer.kill)
        return producer

    def _break(self, scene: Scene) -> None:
        began = time.monotonic()
        for blow in self.blows:
            while (left := began + blow.at - time.monotonic()) > 0:
                self._let_pass(min(left, 0.05, max(0.0, (scene.due() or began + blow.at) - time.monotonic())))
                scene.undo()
            if self.args.verbose:
                print(f"  {blow.at:7.2f} s  {blow.kind}", flush=True)
            scene.strike(blow)
        scene.settle()

    def _let_pass(self, seconds: float) -> None:
        """Let time pass, and note by how much this machine makes it longer: nothing here can be faster than that."""
        until = time.monotonic() + seconds
        let_pass(seconds)
        self.stall = max(self.stall, time.monotonic() - until)

    def _drain(self, scene: Scene, since: float) -> tuple[int, float]:
        left = -1

        def is_empty() -> bool:
            nonlocal left
            scene.undo()
            left = self._count("HLEN", keys.tasks)
            return left == 0

        within(is_empty, since + DRAIN - time.monotonic(), every=0.05)
        return left, round(time.monotonic() - since, 2)

    def _figures(
        self, scene: Scene, samplers: list[Sampler], there: dict[str, bytes], unfinished: int, took: float, wrong: list[str]
    ) -> dict[str, Any]:
        sent = report.Sent()
        for path in self.files:
            sent.read(path.read_text().splitlines())
        runs = report.read_runs(self.notes.read_text().splitlines())
        states = {task_id: record.decode(data, task_id).state for task_id, data in there.items()}
        successes = {task_id for task_id, state in states.items() if state is State.SUCCESS}
        times = report.recovery(runs, scene.faults, sent)
        figures = report.account(sent, runs, successes, set(states) - successes, scene.faults)
        changed, changed_by_failover = self._changed(scene, samplers)
        return {
            **{k: getattr(self.args, k) for k in ("server", "seconds", "seed", "workers")},
            "wire versions of the producers": " ".join(map(str, PRODUCERS)),
            **figures,
            "recorded twice": changed + self._ended_too_often(),
            "recorded again after a failover": changed_by_failover,
            "unfinished": unfinished,
            "seconds to drain": took,
            "longest stall of the machine": round(self.stall, 3),
            "keys left": self._keys_left(),
            "not taken up": [name for store, name in self.lives if Broker(store, name).schema() != next_version.SCHEMA],
            "wrong with workers": wrong + self._tracebacks(),
            "faults": dict(sorted(_counted(scene).items())),
            "recovery": {
                kind: {what: report.summary(told, kind, what) for what, told in by.items() if told}
                for kind, by in times.items()
                if any(by.values())
            },
            "samples": {kind: {what: told for what, told in by.items() if told} for kind, by in times.items()},
        }

    def _changed(self, scene: Scene, samplers: list[Sampler]) -> tuple[int, int]:
        failovers = [fault.at for fault in scene.faults if fault.kind == "failover"]
        changed = [times for sampler in samplers for times in sampler.changed.values()]
        excused = sum(any(first <= at <= then for at in failovers) for first, then in changed)
        return len(changed) - excused, excused

    def _ended_too_often(self) -> int:
        """Return by how much the ends that the scripts counted exceed the tasks that they let in."""
        return sum(max(0, self._ended_too_often_at(store, name)) for store, name in self.lives)

    def _ended_too_often_at(self, store: Store, name: str) -> int:
        total = counts(store.client(), name)
        return total["succeeded"] + total["failed"] - total["enqueued"]

    def _keys_left(self) -> list[str]:
        clients = [store.client() for store, _ in self.lives]

        def left() -> list[str]:
            return [key for client in clients for key in leaks.leaked(client, leaks.keys_of(client, self.name))]

        try:
            wait_until(lambda: not left())
        except AssertionError:
            pass
        return left()

    def _tracebacks(self) -> list[str]:
        log = (self.folder / "workers.log").read_text()
        times, first = log.count("Traceback"), log.find("Traceback")
        return [f"{times} tracebacks in the workers' log; the first:\n{log[max(0, first - 500) : first + 5000]}"] if times else []


def _counted(scene: Scene) -> dict[str, int]:
    kinds = [fault.kind for fault in scene.faults]
    return {kind: kinds.count(kind) for kind in kinds}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long faults and calls go on (300)")
    parser.add_argument("--server", choices=stores.KINDS, default="server", help="what the queue lives on (server)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the schedule (drawn, and printed)")
    parser.add_argument("--workers", type=int, default=3, help="hotqueue-worker commands, of two processes each (3)")
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between two faults, on average (1.5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it")
    parser.add_argument("--verbose", action="store_true", help="print each fault as it is done")
    return parser.parse_args()


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run it and say how it went."""
    args = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="hotqueue-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    again = f"python -m tests.chaos --server {args.server} --seconds {args.seconds:g} --seed {args.seed}"
    print(again, flush=True)
    try:
        figures = Chaos(args, folder).run()
    except KeyboardInterrupt:
        print("stopped; everything that was started has been ended", file=sys.stderr)
        return 130
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(report.table(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    wrong = report.verdict(figures)
    print("\n".join(f"WRONG  {each}" for each in wrong) or report.held(figures))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
