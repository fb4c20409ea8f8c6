"""Processes that the benchmark starts: a contender's producer and workers. Each is ended by its pid, with its children.

Also what /proc tells of them: memory and CPU.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
GRACE = 0.3  # seconds


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                pass
    return found


def start(command: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; what it prints goes to a file."""
    with open(log, "ab") as out:
        return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)


def stop(workers: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end; after a while, kill them and what they left. Their work is done: there is nothing to wait for."""
    workers = list(workers)
    members = [pid for worker in workers for pid in tree(worker.pid)]
    for worker in workers:
        worker.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE
    for worker in workers:
        try:
            worker.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    for pid in members:
        if _is_alive(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def memory(pid: int) -> dict[str, float]:
    """Return RSS and PSS of one process, in MiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {parts[0].rstrip(":"): int(parts[1]) for parts in lines}
    return {"rss": kilobytes["Rss"] / 1024, "pss": kilobytes["Pss"] / 1024}


def cpu(pids: Iterable[int]) -> float:
    """Return the seconds of CPU that processes have used."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def precise_cpu(pids: Iterable[int]) -> float:
    """Return the same to the nanosecond, of the threads that live; for spans in which threads neither come nor go."""
    total = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(path.read_text().split()[0])
    return total / 1e9


def peak(pid: int) -> float:
    """Return the most memory that one process has had resident, in MiB."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
