"""A producer process: sends calls until its time is over; writes down what it attempts before each call, and what was
acknowledged after it. A call with an id of its own is repeated until it is acknowledged; the outcome of others stays unknown."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from hotqueue import HotQueueError
from tests.chaos import tasks

PAUSE = 0.03  # seconds between two calls: the load, not a synchronisation
PATIENCE = 60.0  # seconds for which a call is repeated


class Producer:
    """Sends calls.

    Args:
        path: the file to write to.
        mark: names this producer; each call gets it and a number.
        poisons: seconds after the beginning at which to send a task that kills its process.
    """

    def __init__(self, path: str, mark: str, seed: str, poisons: list[float]) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._mark, self._dice, self._poisons = mark, random.Random(seed), poisons
        self._count = 0

    def _note(self, what: str, n: str, more: object = "-") -> None:
        os.write(self._file, f"{time.monotonic():.6f} {what} {n} {more}\n".encode())

    def _next(self, kind: str) -> str:
        self._count += 1
        n = f"{self._mark}-{self._count}"
        self._note("attempt", n, kind)
        return n

    def run(self, seconds: float) -> None:
        """Send calls for some seconds."""
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds and os.getppid() != 1:
            if self._poisons and now >= self._poisons[0]:
                self._poisons.pop(0)
                self._with_id(self._dice.choice([tasks.poison, tasks.apoison]), "poison")
            self._one_of_many()
            time.sleep(self._dice.uniform(0, 2 * PAUSE))

    def _one_of_many(self) -> None:
        drawn = self._dice.random()
        if drawn < 0.35:
            self._with_id(tasks.work, "id", round(self._dice.uniform(0, 0.05), 4))
        elif drawn < 0.5:
            self._with_id(tasks.awork, "id", round(self._dice.uniform(0, 0.3), 4))
        elif drawn < 0.55:
            self._with_id(tasks.flaky, "id")
        elif drawn < 0.62:
            self._with_id(tasks.work, "id", 0.5)
        elif drawn < 0.92:
            n = self._next("delay")
            self._send([n], lambda: [self._dice.choice([tasks.work, tasks.awork]).delay(n)])
        else:
            many = [self._next("map") for _ in range(self._dice.randint(2, 30))]
            self._send(many, lambda: list(self._dice.choice([tasks.work, tasks.awork]).map(many)))

    def _with_id(self, task: Any, kind: str, *args: Any) -> None:
        n = self._next(kind)
        until = time.monotonic() + PATIENCE
        while not self._send([n], lambda: [task.apply_async((n, *args), task_id=f"id-{n}")]) and time.monotonic() < until:
            pass

    def _send(self, sent: list[str], send: Callable[[], list[Any]]) -> bool:
        began = time.monotonic()
        try:
            results = send()
        except HotQueueError as error:
            for n in sent:
                self._note("unknown", n, f"{time.monotonic() - began:.3f} {type(error).__name__}")
            return False
        for n, result in zip(sent, results, strict=True):
            self._note("ack", n, f"{result.id} {time.monotonic() - began:.3f}")
        return True


def main() -> int:
    """Run one producer."""
    parser = argparse.ArgumentParser(prog="producer")
    parser.add_argument("path")
    parser.add_argument("mark")
    parser.add_argument("seed")
    parser.add_argument("seconds", type=float)
    parser.add_argument("poisons", type=float, nargs="*")
    args = parser.parse_args()
    Producer(args.path, args.mark, args.seed, args.poisons).run(args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
