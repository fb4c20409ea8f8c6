"""The field: who takes part, in which environment, and the ground they are measured on.

What a contender's file says of itself are literals at its top; they are read without importing it, because its library is
only in its own environment. An environment is made under .venvs when it is first needed.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import processes
from bench.servers import Server
from bench.ticks import Ticks

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LONGEST = 120  # seconds for one producer
SPARE = 2000  # numbers beyond those of a measure, for warming up


class Contender:
    """One file of contenders/."""

    def __init__(self, module: str) -> None:
        path = HERE / "contenders" / f"{module}.py"
        parsed = ast.parse(path.read_text())
        told: dict[str, Any] = {}
        for node in parsed.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                try:
                    told[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:
                    pass
        self.module = module
        self.name: str = told["NAME"]
        self.about = (ast.get_docstring(parsed) or "").partition("\n")[0]
        self.requirements: tuple[str, ...] = told["REQUIREMENTS"]
        self.workers: dict[str, str] = told["WORKERS"]
        self.lacks: tuple[str, ...] = told.get("LACKS", ())
        self.is_async = any(isinstance(node, ast.AsyncFunctionDef) and node.name == "asend" for node in parsed.body)

    def has(self, kind: str, task: str) -> bool:
        """Tell whether it can run a task with such workers."""
        return kind in self.workers and task not in self.lacks

    @property
    def bin(self) -> Path:
        """Where its commands are; its environment is made if need be."""
        if not self.requirements:
            return Path(sys.executable).parent
        place = HERE / ".venvs" / self.name
        stamp = place / "requirements.txt"
        wanted = "\n".join(self.requirements)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"making the environment of {self.name} …", file=sys.stderr)
            venv.create(place, with_pip=True, clear=True)
            subprocess.run([place / "bin/python", "-m", "pip", "install", "--quiet", *self.requirements], check=True)
            stamp.write_text(wanted)
        return place / "bin"

    def commands(self, kind: str, url: str = "URL") -> list[list[str]]:
        """Return the commands that start its workers; "2x …" is a command started twice."""
        times, _, rest = self.workers[kind].partition("x ")
        line = rest if times.isdigit() else self.workers[kind]
        command = [url if part == "URL" else part for part in line.split()]
        return [command] * (int(times) if times.isdigit() else 1)


class Workers:
    """Running workers of a contender."""

    def __init__(self, running: list[subprocess.Popen[bytes]]) -> None:
        self.first = running[0].pid
        self._running = running

    def pids(self) -> list[int]:
        """Return all their processes."""
        return [pid for each in self._running for pid in processes.tree(each.pid)]


class Bench:
    """A server, the notes that tasks leave, and processes started against both.

    Attributes:
        notes: what went wrong.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.notes: list[str] = []
        self.ticks: Ticks
        self.clear(1)

    def note(self, text: str) -> None:
        """Keep a line for the report."""
        self.notes.append(text)
        print(f"  ! {text}", file=sys.stderr)

    def clear(self, count: int, spare: int = SPARE) -> None:
        """Empty the server, and make room for the notes of `count` tasks."""
        self.server.client.flushall()
        self.ticks = Ticks.create(self.folder / "ticks", count + spare)

    def requests(self) -> int:
        """Return how many requests the server has read since it began."""
        return int(self.server.info()["total_reads_processed"])

    def env(self, contender: Contender, purpose: str) -> dict[str, str]:
        """Return the environment of a contender's processes."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOTQUEUE_")},
            "PYTHONPATH": str(ROOT),
            "PATH": f"{contender.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "BENCH_URL": self.server.url_for(contender.name),
            "BENCH_TICKS": str(self.folder / "ticks"),
            "BENCH_TAPE": str(self.folder / "tape"),
            "BENCH_FOR": purpose,
        }

    def produce(
        self, contender: Contender, action: str, task: str, count: int, purpose: str = "throughput", first: int = 0
    ) -> Any:
        """Run a producer to its end; return what it printed."""
        with self.producing(contender, action, task, first, count, purpose) as process:
            out, _ = process.communicate(timeout=LONGEST)
        if process.returncode:
            raise RuntimeError(f"the producer of {contender.name} failed, see {self.folder / 'log'}")
        return json.loads(out)

    @contextmanager
    def producing(
        self, contender: Contender, action: str, task: str, first: int, count: int, purpose: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a producer beside; it is ended at the end, unless it is waited for."""
        command = [str(contender.bin / "python"), "-m", "bench.producer", contender.module, action, task, str(first), str(count)]
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(command, env=self.env(contender, purpose), stdout=subprocess.PIPE, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    @contextmanager
    def workers(self, contender: Contender, kind: str, purpose: str = "throughput") -> Iterator[Workers]:
        """Run a contender's workers."""
        env = {**self.env(contender, purpose), "BENCH_KIND": kind}
        commands = contender.commands(kind, env["BENCH_URL"])
        running = [processes.start(command, env, self.folder / "log") for command in commands]
        try:
            yield Workers(running)
        finally:
            processes.stop(running)

    def await_tasks(self, count: int, patience: float) -> bool:
        """Wait until `count` tasks have run; False, and a note, when that takes too long."""
        deadline = time.monotonic() + patience
        while (found := self.ticks.count(count)) < count:
            if time.monotonic() > deadline:
                self.note(f"{found:,} of {count:,} tasks had run after {patience:.0f} s; given up")
                return False
            time.sleep(0.01)
        return True
