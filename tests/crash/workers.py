"""A queue, its tasks in this process, and real workers of it in others: what both kinds of crash tests do harm to."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hotqueue import keys
from tests.support import notes
from tests.support.processes import start_command
from tests.support.waiting import wait_until

BANNER = "\n  queues "
APPS = Path(__file__).parent / "apps"


class Workers:
    """Workers of one queue.

    Args:
        app: the module in `apps` that has the queue and its tasks.
        name, url: the queue's.
        folder: for the log and for what the tasks note.
        redis: a client that no fault stands in the way of, for looking; by default one of the queue's own.
    """

    def __init__(self, app: str, name: str, url: str, folder: Path, redis: Any = None) -> None:
        self.name, self.log, self.notes = name, folder / "worker.log", folder / "notes"
        self._app, self._url = app, url
        self.env = {
            "CRASH_QUEUE": name,
            "CRASH_URL": url,
            "CRASH_NOTES": str(self.notes),
            "PYTHONPATH": os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)]),
        }
        self.workers: list[subprocess.Popen[str]] = []
        self.tasks = self._load()
        self.queue = self.tasks.queue
        self.redis = redis or self.queue._store.client()

    def _load(self) -> Any:
        before = {k: os.environ.get(k) for k in ("CRASH_QUEUE", "CRASH_URL")}
        os.environ.update({k: self.env[k] for k in before})
        sys.path.insert(0, str(APPS))
        try:
            sys.modules.pop(self._app, None)
            return importlib.import_module(self._app)
        finally:
            sys.path.remove(str(APPS))
            for k, v in before.items():
                os.environ.pop(k, None) if v is None else os.environ.__setitem__(k, v)

    def start(self, *args: object, url: str = "", wait: bool = True, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a worker, of one process unless `args` say otherwise, and wait until it has registered."""
        before, banners = (set(self.registered()), self.said().count(BANNER)) if wait else (set(), 0)
        processes = [] if any(str(arg).startswith("-p") for arg in args) else ["-p1"]
        told = [self._app, "-u", url or self._url, *processes, *args]
        with open(self.log, "a") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            self.workers.append(start_command("hotqueue-worker", *told, env={**self.env, **(env or {})}, **pipes))
        if wait:
            wait_until(lambda: set(self.registered()) - before, what="a worker registers")
            wait_until(lambda: self.said().count(BANNER) > banners, what="it is ready")
        return self.workers[-1]

    def registered(self) -> list[str]:
        """Return the workers that hold a lease."""
        return [w.decode(errors="replace") for w in self.redis.zrange(keys.workers(self.name), 0, -1)]

    def said(self) -> str:
        """Return what the workers said."""
        return self.log.read_text() if self.log.exists() else ""

    def noted(self) -> list[list[str]]:
        """Return the words of each line that the tasks noted."""
        return notes.read(self.notes)

    def unfinished(self) -> int:
        """Return how many tasks have not ended."""
        return int(self.redis.hlen(keys.tasks(self.name)))

    def stop(self) -> None:
        """End every worker, gently if it can be."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(5)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.queue.close()


def seconds_until(condition: Callable[[], object], timeout: float = 30, what: str = "") -> float:
    """Return how long it took until `condition` came true."""
    began = time.monotonic()
    wait_until(lambda: condition(), timeout, what)
    return time.monotonic() - began
