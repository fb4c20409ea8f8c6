"""A rig for faults of the network, of Redis and of the data: a queue as its producer sees it, and real workers of it,
each side through an address of its own, so that a proxy can stand in the way of one of them."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hotqueue import ConnectionFailed, keys
from hotqueue.tasks.broker import scripts
from tests.crash.workers import Workers
from tests.crash.workers import seconds_until as seconds_until
from tests.support import leaks
from tests.support.counts import counts
from tests.support.waiting import wait_until

ROUNDS = int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1"))


class Rig(Workers):
    """Workers of one queue, with the tasks of `fault_tasks`, and a look at all that is in its keys.

    Args:
        url: where the producer finds the queue.
        redis: a client that no fault stands in the way of.
    """

    def __init__(self, folder: Path, url: str, redis: Any) -> None:
        super().__init__("fault_tasks", f"rig-{secrets.token_hex(4)}", url, folder, redis)

    def starts(self) -> Counter[str]:
        """Return how often each task noted its start."""
        return Counter(line[0] for line in self.noted())

    def send(self, task: Any, *args: Any, **options: Any) -> Any:
        """Send a call, as often as it takes, under one id; return its result's handle."""
        task_id = secrets.token_hex(8)
        while True:
            try:
                return task.apply_async(args, task_id=task_id, **options)
            except ConnectionFailed:
                continue

    def counted(self, what: str) -> int:
        """Return how often the queue counted something: each end is counted by the script that records it."""
        return counts(self.redis, self.name)[what]

    def places(self) -> int:
        """Return how many tasks stand anywhere in the queue, or are held."""
        n = self.name
        sets: list[Any] = [keys.ready(n), keys.ready_async(n), keys.suspects(n), keys.scheduled(n)]
        sets += [keys.raw(keys.parked(n, keys.text(need))) for need in self.redis.smembers(keys.needs(n))]
        held = list(self.redis.scan_iter(match=f"{{hotqueue:{n}}}:held:*"))
        return sum(self.redis.zcard(key) for key in sets) + sum(self.redis.hlen(key) for key in held)

    def is_settled(self) -> bool:
        """Tell whether nothing is unfinished, nothing is held, nothing stands anywhere."""
        return self.unfinished() == 0 and self.places() == 0

    def check_nothing_left(self) -> None:
        """Fail unless the queue is empty and no key has stayed that should not."""
        wait_until(self.is_settled, what="nothing unfinished, held or in any place")
        wait_until(lambda: not leaks.leaked(self.redis, leaks.keys_of(self.redis, self.name)), what="no key without TTL or owner")


class Load:
    """A producer in a thread of its own, which sends calls without end and never twice under two ids.

    Args:
        pause: seconds between two calls.
    """

    def __init__(self, rig: Rig, pause: float = 0.002) -> None:
        self.results: list[Any] = []
        self._rig, self._pause = rig, pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        tasks = (self._rig.tasks.work, self._rig.tasks.work, self._rig.tasks.awork)
        while not self._ended.wait(self._pause):
            n = len(self.results)
            self.results.append(self._rig.send(tasks[n % 3], n))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join(15)

    def ended(self) -> int:
        """Return how many tasks have ended."""
        return self._rig.counted("succeeded")

    def check_all_done(self, timeout: float = 30) -> None:
        """Fail unless every call that was acknowledged came to its end, once."""
        deadline = time.monotonic() + timeout
        for n, result in enumerate(self.results):
            assert result.get(max(0.1, deadline - time.monotonic())) == n
        self._rig.check_nothing_left()


def load_scripts(redis: Any) -> None:
    """Have a server know every script, so that each call of one is a single request that holds its SHA."""
    for script in vars(scripts).values():
        if isinstance(script, scripts.Script):
            redis.script_load(script.text)


def report(fault: str, times: list[float]) -> None:
    """Note how long work took to go on after a fault, in the file that $HOTQUEUE_CRASH_TIMES names."""
    told = sorted(times)
    text = f"{fault}: n={len(told)} p50={told[len(told) // 2]:.3f} s max={told[-1]:.3f} s"
    print(text)
    if path := os.environ.get("HOTQUEUE_CRASH_TIMES"):
        with open(path, "a") as file:
            file.write(text + "\n")
