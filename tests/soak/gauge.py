"""What /proc says of processes: memory, descriptors, threads, children. Linux only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reading:
    """One process at one moment.

    Attributes:
        memory: resident, MiB.
        descriptors, threads, children: how many.
    """

    memory: float
    descriptors: int
    threads: int
    children: int


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children, whichever of its threads started them."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return found


def read(pid: int) -> Reading:
    """Read a process.

    Raises:
        OSError: it has ended.
    """
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Reading(
        round(int(status["VmRSS"].split()[0]) / 1024, 1),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
        len(children_of(pid)),
    )
