"""A deployment for crash tests: a queue, its tasks in this process, and worker processes to do harm to."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from hotqueue import keys
from tests.processes import start_command
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"


class Deployment:
    """Workers of one queue.

    Args:
        name, url: the queue's.
    """

    def __init__(self, name: str, url: str, log: Path) -> None:
        self._env = {
            "CRASH_QUEUE": name,
            "CRASH_URL": url,
            "PYTHONPATH": os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)]),
        }
        self.name = name
        self.log = log
        self.workers: list[subprocess.Popen[str]] = []
        self.tasks = self._load()
        self.queue = self.tasks.queue

    def _load(self) -> ModuleType:
        before = {k: os.environ.get(k) for k in ("CRASH_QUEUE", "CRASH_URL")}
        os.environ.update({k: self._env[k] for k in before})
        sys.path.insert(0, str(APPS))
        try:
            sys.modules.pop("crash_tasks", None)
            return importlib.import_module("crash_tasks")
        finally:
            sys.path.remove(str(APPS))
            for k, v in before.items():
                os.environ.pop(k) if v is None else os.environ.__setitem__(k, v)

    def start(self, *args: object, fault: str = "", wait: bool = True) -> subprocess.Popen[str]:
        """Start a worker, and wait until all of its processes have registered."""
        env = {**self._env, **({"HOTQUEUE_FAULT": fault} if fault else {})}
        file = open(self.log, "a")  # noqa: SIM115
        before = len(self.registered())
        worker = start_command(
            "hotqueue-worker", "crash_tasks", *args, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        file.close()
        self.workers.append(worker)
        if wait:
            wait_until(lambda: len(self.registered()) > before, what="a worker registers")
        return worker

    def registered(self) -> list[str]:
        """Return the workers that hold a lease."""
        key = keys.workers(self.name)
        return [w.decode() for w in self.queue.store.command(key, "ZRANGE", key, 0, -1)] if hasattr(self, "queue") else []

    def children(self, worker: subprocess.Popen[str]) -> list[int]:
        """Return the pids of a worker's processes."""
        try:
            return [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]
        except OSError:
            return []

    def noted(self, what: str) -> list[int]:
        """Return what the tasks noted."""
        key = f"{{{self.queue.key}}}:note:{what}"
        return [int(n) for n in self.queue.store.command(key, "LRANGE", key, 0, -1)]

    def release(self) -> None:
        """Let the `hold` tasks end."""
        self.tasks.note("release", 1)

    def repeated(self) -> int:
        """Return how many starts were one too many."""
        return sum(times - 1 for times in Counter(self.noted("start")).values())

    def unfinished(self) -> int:
        """Return how many tasks have not ended."""
        key = keys.tasks(self.name)
        return int(self.queue.store.command(key, "HLEN", key))

    def stop(self) -> None:
        """End every worker, gently if it can be."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.queue.close()


def seconds_until(condition: Callable[[], object], timeout: float = 10) -> float:
    """Return how long it took until `condition` came true."""
    began = time.monotonic()
    wait_until(lambda: condition(), timeout)
    return time.monotonic() - began


def is_gone(pid: int) -> bool:
    """Tell whether a process is dead, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
