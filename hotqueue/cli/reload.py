"""hotqueue-worker --reload: a process that watches source files, and has the worker replace its processes when one changes.

It is a program of its own, as the supervisor forks and is to have one thread. What cannot be loaded replaces nobody, and what
runs is finished by the old process: docs/decisions/0033.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from hotqueue.cli.entry import say

EXTRA = "--reload needs watchfiles; install it with pip install 'hotqueue[reload]'"
LOOKS = 500  # ms between two looks whether the worker is there still
TOGETHER = 300  # ms for which changes are taken together, as an editor or git makes several


@contextmanager
def reloading(is_wanted: bool, modules: Sequence[str]) -> Iterator[None]:
    """Watch the source files of modules, and those below the current folder, while this process is a worker.

    Raises:
        click.UsageError: watchfiles is not installed.
    """
    if not is_wanted:
        yield
        return
    if importlib.util.find_spec("watchfiles") is None:
        raise click.UsageError(EXTRA)
    command = [sys.executable, "-m", "hotqueue.cli.reload", str(os.getpid()), *folders_of(modules)]
    watcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        watcher.terminate()
        watcher.wait()


def folders_of(modules: Sequence[str]) -> list[str]:
    """Return the folders to watch: the current one, and where packages of the modules are, if that is elsewhere."""
    here = Path.cwd()
    found = {here}
    for name in modules:
        try:
            spec = importlib.util.find_spec(name.partition(":")[0].partition(".")[0])
        except (ImportError, ValueError):
            continue
        for place in [] if spec is None else [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]:
            path = Path(place)
            folder = path if path.is_dir() else path.parent
            if folder.is_dir() and not folder.is_relative_to(here) and "site-packages" not in folder.parts:
                found.add(folder)
    return sorted(map(str, found))


def main() -> None:
    """Watch, and tell the worker, until it is gone."""
    watchfiles: Any = importlib.import_module("watchfiles")  # which need not be installed where types are checked
    worker, folders = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the whole group: the worker ends us
    options = {"step": 50, "debounce": TOGETHER, "rust_timeout": LOOKS, "yield_on_timeout": True, "raise_interrupt": False}
    is_watching = False
    for changes in watchfiles.watch(*folders, watch_filter=watchfiles.PythonFilter(), **options):
        if os.getppid() != worker:
            return
        if not is_watching:
            is_watching = True
            say(f"watching {', '.join(folders)}")
        if changes:
            files = sorted({os.path.relpath(path) for _, path in changes})
            say(f"{', '.join(files[:3])}{f' and {len(files) - 3} more' if len(files) > 3 else ''} changed")
            os.kill(worker, signal.SIGUSR2)


if __name__ == "__main__":
    main()
