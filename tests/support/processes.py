"""Real Python processes for tests: `run_python` waits for the end, `start_python` does not; `run_command` runs a command
of the package as its console script would, installed or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import allowed

ROOT = Path(__file__).resolve().parents[2]


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with hotqueue importable, no stray HOTQUEUE_* setting, and `env` on top."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOTQUEUE_", "PYTEST_"))}
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})}


def _arguments(code: str | Path, args: tuple[object, ...]) -> list[str]:
    script = [str(code)] if isinstance(code, Path) else ["-c", code]
    return [sys.executable, *script, *map(str, args)]


def start_python(code: str | Path, *args: object, env: dict[str, str] | None = None, **popen: Any) -> subprocess.Popen[str]:
    """Start Python on source text (str) or a file (Path); stdin, stdout and stderr are text pipes. The caller ends it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(_arguments(code, args), env=environment(env), text=True, **{**pipes, **popen})


def run_python(
    code: str | Path, *args: object, env: dict[str, str] | None = None, timeout: float = 60, check: bool = True, **run: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python on source text (str) or a file (Path) and return what it printed.

    Args:
        env: variables on top of this process's environment.
        timeout: seconds after which it is killed and the test fails; more of them on an overloaded machine.
        check: fail the test, showing stderr, unless the exit code is 0.
    """
    done = subprocess.run(
        _arguments(code, args), env=environment(env), text=True, capture_output=True, timeout=allowed(timeout), check=False, **run
    )
    if check and done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}")
    return done


def command_code(name: str) -> str:
    """Return source text that does what the console script `name` of pyproject.toml does."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts[name].split(":")
    return f"import sys; sys.argv[0] = {name!r}; from {module} import {function}; sys.exit({function}())"


def run_command(name: str, *args: object, check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the package (`hotqueue`, `hotwatch`, `hotqueue-worker`) to its end."""
    return run_python(command_code(name), *args, check=check, **options)


def start_command(name: str, *args: object, **options: Any) -> subprocess.Popen[str]:
    """Start a command of the package; the caller ends it."""
    return start_python(command_code(name), *args, **options)


def worker_processes(supervisor: int) -> list[int]:
    """Return the pids of the processes of a `hotqueue-worker`, by that of its supervisor. Linux only."""
    try:
        found = [int(child) for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()]
        return [child for child in found if b"hotqueue.cli.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Have processes stand still in this block (SIGSTOP)."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    """Return a process's state as one letter, as ps has it: "T" is stopped, "Z" a zombie, "" gone. Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    return state_of(pid) in ("", "Z")
