"""Builds the sdist and from it the wheel, then uses the wheel as a newcomer would: a fresh venv in an empty folder.

Run by ``make wheel-check``, on every python3.11 and later on the PATH, or on those that $PYTHONS names. Not a part of the
tests: it asks the package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = range(11, 16)

SMOKE = """
import importlib, pkgutil, hotqueue
for module in pkgutil.walk_packages(hotqueue.__path__, "hotqueue."):
    importlib.import_module(module.name)
with hotqueue.HotQueue("myqueue", dbfilename="queue.rdb") as queue:
    queue.put(4, "five", {"six": 6})
    assert [queue.get(), queue.get()] == [4, "five"]
"""

TASKS = """
from hotqueue import HotQueue

queue = HotQueue("tasks", dbfilename="queue.rdb")

@queue.task
def square(n: int) -> int:
    return n * n
"""

SEND = "import sys; sys.path.insert(0, '.'); import tasks; print(tasks.square.delay(4).get(timeout=30))"


def build(folder: Path) -> Path:
    """Return the wheel, built by way of the sdist."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def pythons() -> list[str]:
    """Return the interpreters to check with, one for each version."""
    if named := os.environ.get("PYTHONS"):
        return named.split()
    outside = os.pathsep.join(p for p in os.get_exec_path() if Path(p) != Path(sys.prefix) / "bin")
    found = [shutil.which(f"python3.{minor}", path=outside) for minor in VERSIONS]
    return [path for path in found if path and _runs(path)] or [sys.executable]


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def check(python: str, wheel: Path, folder: Path) -> None:
    """Install the wheel into a fresh venv under `folder` and use it there; raises when something does not work."""
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    commands = folder / "venv" / "bin"
    subprocess.run([commands / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel], check=True)
    empty = folder / "empty"
    empty.mkdir()
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "HOTQUEUE_URL")}
    for command in (
        [commands / "python", "-W", "error", "-c", SMOKE],
        [commands / "hotwatch", "myqueue", "--dbfilename", "queue.rdb"],
        [commands / "hotqueue", "info", "--dbfilename", "queue.rdb"],
        [commands / "hotqueue-worker", "--version"],
    ):
        subprocess.run(command, check=True, cwd=empty, env=clean)
    (empty / "tasks.py").write_text(TASKS)
    worker = subprocess.Popen([commands / "hotqueue-worker", "tasks", "-p", "1"], cwd=empty, env=clean)
    try:
        told = subprocess.run([commands / "python", "-c", SEND], check=True, cwd=empty, env=clean, capture_output=True, text=True)
        assert told.stdout == "16\n", told.stdout
    finally:
        worker.terminate()
        assert worker.wait() == 0


def main() -> None:
    """Check with every interpreter; the first that fails ends it."""
    with tempfile.TemporaryDirectory(prefix="hotqueue-wheel-") as place:
        wheel = build(Path(place))
        for python in pythons():
            print(f"== {python}", flush=True)
            check(python, wheel, Path(tempfile.mkdtemp(dir=place)))
    print("the wheel works")


if __name__ == "__main__":
    main()
