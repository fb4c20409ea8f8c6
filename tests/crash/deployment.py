"""A deployment for tests of processes that die: workers to do harm to, and what their tasks noted of it."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

from tests.crash.workers import Workers


class Deployment(Workers):
    """Workers of one queue, with the tasks of `crash_tasks`."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        super().__init__("crash_tasks", name, url, folder)

    def start(self, *args: object, fault: str = "", **options: object) -> subprocess.Popen[str]:  # type: ignore[override]
        """Start a worker, with a fault hook armed if one is named."""
        return super().start(*args, env={"HOTQUEUE_FAULT": fault} if fault else None, **options)  # type: ignore[arg-type]

    def numbers(self, what: str) -> list[int]:
        """Return the numbers of the tasks that noted this, in their order."""
        return [int(line[1]) for line in self.noted() if line[0] == what]

    def forget(self) -> None:
        """Have nothing noted."""
        os.truncate(self.notes, 0)

    def release(self) -> None:
        """Let the `hold` tasks end."""
        Path(f"{self.notes}.released").touch()

    def repeated(self) -> int:
        """Return how many starts were one too many."""
        return sum(times - 1 for times in Counter(self.numbers("start")).values())
