"""The field: who takes part, in which environment, and the ground they are measured on.

What a contender's file says of itself are literals at its top; they are read without importing it, because its library is
only in its own environment. An environment is made under .venvs when it is first needed.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
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
PATIENCE = 60  # seconds for the tasks of one measure
SPARE = 2_000  # numbers beyond those of a measure, for warming up


class Unfinished(Exception):
    """A contender did not run its tasks in time."""


class Contender:
    """One file of contenders/; `LIKE` in it names another file, which it is but for what it says itself.

    Attributes:
        requirements: what is installed in its environment.
        environment: the name of that; two contenders may share one.
        workers: the commands that start its workers, by kind.
        promises_not: what hotqueue promises and it does not; said beside its figures.
        has_own_store: True for one that keeps its tasks without a server: what the server does says nothing of it.
        python: the least version of Python that it needs; "" for the one that runs this.
    """

    def __init__(self, module: str) -> None:
        about, told, is_async = _read(module)
        self.module = told.get("LIKE", module)
        if self.module != module:
            _, base, is_async = _read(self.module)
            told = {**base, **told}
        self.about = about
        self.name: str = told["NAME"]
        self.environment: str = told.get("ENVIRONMENT", self.name)
        self.requirements: tuple[str, ...] = told["REQUIREMENTS"]
        self.workers: dict[str, str] = told["WORKERS"]
        self.lacks: tuple[str, ...] = told.get("LACKS", ())
        self.promises_not: str = told.get("PROMISES_NOT", "")
        self.has_own_store: bool = told.get("HAS_OWN_STORE", False)
        self.python: str = told.get("PYTHON", "")
        self.is_async = is_async

    def has(self, kind: str, task: str) -> bool:
        """Tell whether it can run a task with such workers."""
        return kind in self.workers and task not in self.lacks

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return HERE / ".venvs" / self.environment / "bin"

    def prepare(self) -> None:
        """Make its environment, unless it is there."""
        place = self.bin.parent
        stamp = place / "requirements.txt"
        wanted = "\n".join(self.requirements)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"making the environment of {self.name} …", file=sys.stderr)
        if self.python:
            subprocess.run([_python(self.python), "-m", "venv", "--clear", place], check=True, timeout=120)
        else:
            venv.create(place, with_pip=True, clear=True)
        packages = [part.replace("ROOT", str(ROOT)) for part in self.requirements]
        subprocess.run([place / "bin/python", "-m", "pip", "install", "--quiet", *packages], check=True, timeout=600)
        stamp.write_text(wanted)

    def commands(self, kind: str, url: str = "URL") -> list[list[str]]:
        """Return the commands that start its workers; "2x …" is a command started twice."""
        times, _, rest = self.workers[kind].partition("x ")
        line = rest if times.isdigit() else self.workers[kind]
        command = [url if part == "URL" else part for part in line.split()]
        return [command] * (int(times) if times.isdigit() else 1)


def _python(least: str) -> str:
    """Return a Python of this version or a newer one that is installed here."""
    major, minor = map(int, least.split("."))
    if sys.version_info >= (major, minor):
        return sys.executable
    for newer in range(minor, minor + 5):
        name = f"python{major}.{newer}"
        for found in (shutil.which(name), *map(str, sorted(Path.home().glob(f".pyenv/versions/{major}.{newer}.*/bin/{name}")))):
            if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:  # no shim
                return found
    raise RuntimeError(f"it needs Python {least} or newer, and there is none here")


def _read(module: str) -> tuple[str, dict[str, Any], bool]:
    """Return what a contender's file is about, its literals, and whether it can send from an event loop."""
    parsed = ast.parse((HERE / "contenders" / f"{module}.py").read_text())
    told: dict[str, Any] = {}
    for node in parsed.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            try:
                told[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                pass
    is_async = any(isinstance(node, ast.AsyncFunctionDef) and node.name == "asend" for node in parsed.body)
    return (ast.get_docstring(parsed) or "").partition("\n")[0], told, is_async


class Workers:
    """Running workers of a contender."""

    def __init__(self, running: list[subprocess.Popen[bytes]]) -> None:
        self.first = running[0].pid
        self._running = running

    def pids(self) -> list[int]:
        """Return all their processes."""
        return [pid for each in self._running for pid in processes.tree(each.pid)]

    def peak(self) -> float:
        """Return the most memory that each has had, in MiB, added up."""
        return sum(processes.peak(pid) for pid in self.pids())


class Bench:
    """A server, the notes that tasks leave, and processes started against both.

    Attributes:
        scale: 1, or less for a trial whose figures mean nothing.
        sizes: how many tasks each contender was given for each measure.
        empty: bytes of memory the server had when it was emptied last.
        notes: what went wrong.
    """

    def __init__(self, server: Server, folder: Path, scale: float, sizes: dict[str, int]) -> None:
        self.server = server
        self.folder = folder
        self.scale = scale
        self.sizes = sizes
        self.empty = 0
        self.notes: list[str] = []
        self.ticks: Ticks
        self.clear(1)

    def note(self, text: str) -> None:
        """Keep a line for the report."""
        self.notes.append(text)

    def clear(self, count: int, spare: int = SPARE) -> None:
        """Empty the server, and make room for the notes of `count` tasks."""
        self.server.client.flushall()
        self.empty = self.server.memory()
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        (self.folder / "store").mkdir()
        self.ticks = Ticks.create(self.folder / "ticks", count + spare)

    def env(self, contender: Contender, purpose: str) -> dict[str, str]:
        """Return the environment of a contender's processes. Bytecode is kept: of what pip installed, it is there."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HOTQUEUE_", "PYTHON"))},
            "PYTHONPATH": str(ROOT),
            "PATH": f"{contender.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "BENCH_URL": self.server.url_for(contender.name),
            "BENCH_STORE": str(self.folder / "store"),
            "BENCH_TICKS": str(self.folder / "ticks"),
            "BENCH_TAPE": str(self.folder / "tape"),
            "BENCH_FOR": purpose,
            "BENCH_SECONDS": str(2.0 * self.scale),
        }

    def produce(
        self, contender: Contender, action: str, task: str, count: int, purpose: str = "throughput", first: int = 0
    ) -> Any:
        """Run a producer to its end; return what it printed."""
        with self.producing(contender, action, task, first, count, purpose) as process:
            out, _ = process.communicate(timeout=LONGEST)
        if process.returncode < 0 and out.endswith(b"\n"):  # it had measured, and crashed on its way out
            self.note(f"{contender.name}: its producer ends with signal {-process.returncode} now and then, after its work")
        elif process.returncode:
            raise RuntimeError(f"the producer failed ({process.returncode}): {self.last_words()}")
        return json.loads(out)

    def last_words(self) -> str:
        """Return the last line that a contender printed."""
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

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
        running: list[subprocess.Popen[bytes]] = []
        try:
            running.extend(processes.start(command, env, self.folder / "log") for command in commands)
            yield Workers(running)
        finally:
            processes.stop(running)

    def await_tasks(self, count: int) -> None:
        """Wait until `count` tasks have run."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.ticks.count(count)) < count:
            if time.monotonic() > deadline:
                raise Unfinished(f"{found:,} of {count:,} tasks had run after {PATIENCE} s; last in the log: {self.last_words()}")
            time.sleep(0.01)
