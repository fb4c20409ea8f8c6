"""Processes: all processes of a supervisor: starts them, finds them, collects the dead.

Which are wanted is decided in replacement.py and quarantine.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.children import Child, spawn
from hotqueue.tasks.supervisor.orphans import Orphans
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.worker.child import Settings, Suspects


@dataclass(frozen=True)
class Dead:
    """A child that has ended, with its exit code (negative: the signal) and the most memory that it took."""

    child: Child
    code: int
    peak_kb: int


class Processes:
    """The children of one supervisor.

    Attributes:
        all: every one, in the order of their births.
        ours: descriptors that a child must not keep.
    """

    def __init__(self, settings: Settings, state: Phase) -> None:
        self.all: list[Child] = []
        self.ours: list[int] = []
        self._settings = settings
        self._state = state
        self._orphans = Orphans()

    @property
    def ordinary(self) -> list[Child]:
        """The children but for quarantine processes, which are beside them."""
        return [each for each in self.all if each.suspects is None]

    @property
    def working(self) -> list[Child]:
        """The children but for those that only do what is done at an exit, which may take its time."""
        return [each for each in self.all if each.leaves_by is None]

    def spawn(self, suspects: Suspects | None = None) -> None:
        """Start a process.

        Args:
            suspects: those that a quarantine process is for.

        Raises:
            OSError: the system gives none.
        """
        self.all.append(spawn(self._settings.for_suspects(suspects), self.all, tuple(self.ours)))

    def stop(self, each: Child) -> None:
        """Have a child finish what it runs; what it has not started goes back at once."""
        each.stop()
        for slot in each.slots.values():
            if self._state.upkeep is not None:
                self._state.upkeep.take_back(slot.worker, slot.permits, each.queues)

    def stop_all(self) -> None:
        """Have all finish what they run."""
        for each in self.all:
            self.stop(each)

    def give_up(self, queue: Broker, worker: str, asked: float) -> None:
        """Say to whom it concerns that one of our workers was not registered at a queue when that was asked (monotonic)."""
        for each in self.all:
            each.give_up(worker, queue, asked)

    def collect(self) -> Iterator[Dead]:
        """Yield the children that have ended; whoever asked takes them off the list."""
        for each in list(self.all):
            pid, status, usage = os.wait4(each.pid, os.WNOHANG)  # our own pids only: others may be another's
            if pid:
                yield Dead(each, os.waitstatus_to_exitcode(status), usage.ru_maxrss)
        self._orphans.collect([each.pid for each in self.all])
