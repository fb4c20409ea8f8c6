"""Which processes are started, put to work and ended, so that as many work as are wanted.

The successor comes first: a process is loaded (it has imported the modules) before the one that it follows stops fetching. What
cannot be loaded replaces nobody. Starts no process, and kills none that has begun: the supervisor does. See docs/decisions/0033.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hotqueue.plurals import plural
from hotqueue.tasks.supervisor.children import Child

log = logging.getLogger("hotqueue.worker")

SHARE = 4  # while processes are replaced, one more is loaded at a time for each so many that are wanted
QUICK = 1.0  # seconds; a process that dies younger than this is replaced more and more slowly
SLOWEST = 5.0  # seconds between two of them, at most


@dataclass
class Plan:
    """What is to be done now.

    Attributes:
        begin: loaded processes that are to work, each with the one that it follows (None: with nobody).
        dismiss: processes that have not begun and are not needed.
        spawn: how many are to be started.
    """

    begin: list[tuple[Child, Child | None]] = field(default_factory=list)
    dismiss: list[Child] = field(default_factory=list)
    spawn: int = 0


def plan(children: Sequence[Child], wanted: int, to_begin: int | None = None) -> Plan:
    """Plan what is to be done next.

    Args:
        wanted: how many are to work.
        to_begin: of a burst: how many are to begin, since only they know when it is over; None: as many as `wanted` lacks.
    """
    working = [each for each in children if each.is_at_work and not each.is_followed]
    spares = [each for each in children if each.is_spare]
    missing = max(0, wanted - len(working)) if to_begin is None else to_begin
    leaving = [each for each in working if each.is_outdated or each.ends_soon]
    needed = missing + min(len(leaving), at_a_time(wanted))
    loaded = [each for each in spares if each.is_ready]
    outdated = [each for each in leaving if each.is_outdated]
    begin: list[tuple[Child, Child | None]] = [(spare, None) for spare in loaded[:missing]]
    begin += zip(loaded[missing:], outdated, strict=False)
    room = most(wanted) - len(children)
    return Plan(begin, spares[needed:], max(0, min(needed - len(spares), room)))


def at_a_time(wanted: int) -> int:
    """Return how many processes are loaded at a time while others are replaced."""
    return max(1, wanted // SHARE)


def most(wanted: int) -> int:
    """Return how many processes there may be: those that finish take memory too."""
    return 2 * wanted + 1


def outdate(children: Iterable[Child]) -> list[Child]:
    """Mark all that work as to be replaced; return those that have not begun, which may have loaded what is old as well."""
    spares = []
    for each in children:
        each.is_outdated = True
        if each.is_spare:
            spares.append(each)
    return spares


def call_off(children: Iterable[Child]) -> int:
    """Have those that were to be replaced stay; return how many work on."""
    stay = [each for each in children if each.is_at_work and each.is_outdated]
    for each in stay:
        each.is_outdated = False
    return len(stay)


def surplus(children: Iterable[Child], wanted: int) -> list[Child]:
    """Return those at work that are too many: first of all such as are to be replaced anyway, then the youngest."""
    working = [each for each in children if each.is_at_work and not each.is_followed]
    working.sort(key=lambda each: (each.is_outdated or each.ends_soon, each.born), reverse=True)
    return working[: max(0, len(working) - wanted)]


class Replacement:
    """The course of it, for one supervisor.

    Args:
        wanted: how many processes are to work.
        stop: has a process fetch nothing more, and finish what it runs.

    Attributes:
        to_begin: of a burst: how many have still to begin.
        lacks: True while a process is to be started.
        not_before: when the next one may be (monotonic).
    """

    def __init__(self, wanted: int, is_burst: bool, stop: Callable[[Child], None]) -> None:
        self.wanted = self.to_begin = wanted
        self.lacks = False
        self.not_before = 0.0
        self._is_burst = is_burst
        self._stop = stop
        self._is_under_way = False
        self._failure = ""  # why none could be loaded, once that has been said
        self._why = "SIGHUP"
        self._quick_deaths = 0

    def begin(self, children: Sequence[Child], *, is_first: bool, why: str = "SIGHUP") -> None:
        """Have all be replaced.

        Args:
            is_first: none works yet: the one that loads is replaced once it works.
            why: the name of the signal that asked for it.
        """
        self._is_under_way, self.not_before, self._failure, self._why = True, 0.0, "", why
        count = sum(each.is_at_work for each in children)
        if count:
            text = "%s: replacing %s; each works on until another one has taken its place"
            log.info(text, why, plural(count, "process", "processes"))
        else:
            log.info("%s: no process works yet; those that load are replaced", why)
        for each in outdate(children):
            if not is_first:
                dismiss(each)

    def fewer(self, children: Sequence[Child]) -> None:
        """Have one process less, but for the last one."""
        if self.wanted > 1:
            self.wanted -= 1
            for each in surplus(children, self.wanted):
                self._stop(each)

    def turn(self, children: Sequence[Child]) -> int:
        """Put to work and let go whom it is time for; return how many are to be started."""
        found = plan(children, self.wanted, self.to_begin if self._is_burst else None)
        for each, old in found.begin:
            each.follows = old
            each.begin()
            if old is None:
                self.to_begin -= 1
            else:
                old.is_followed = True
        for each in found.dismiss:
            dismiss(each)
        if self._is_under_way and not any(each.is_outdated and each.is_at_work for each in children):
            self._is_under_way = False
            log.info("%s: the work is done by new processes", self._why)
        return found.spawn

    def works(self, each: Child, children: Sequence[Child]) -> None:
        """Note that a process has registered: it works, and the one that it follows need not any more."""
        old, each.follows = each.follows, None
        if old is not None and old.is_at_work and old in children:
            log.info("process %d works in place of process %d, which finishes what it runs", each.pid, old.pid)
            self._stop(old)

    def loaded(self) -> None:
        """Note that a process could load the modules."""
        self._failure = ""

    def make_up_for(self, each: Child) -> None:
        """Have a process of a burst followed by another, once: a burst is over when its processes say so, not when they die."""
        if each.has_begun and not each.is_followed:
            each.is_followed = True
            self.to_begin += 1

    # --- deaths --------------------------------------------------------------------------------------------------

    def died(self, each: Child) -> None:
        """Note that a process is dead: if it was to follow another one, nobody does now."""
        if each.follows is not None:
            each.follows.is_followed = False

    def cannot_load(self, each: Child, children: Sequence[Child], why: str) -> None:
        """Have what works stay as it is; say so once. What is missing is tried again, more and more slowly."""
        stay = 0
        if each.suspects is None:
            self._is_under_way = False
            self._wait_longer()
            stay = call_off(children)
        if stay:
            text = "%s: a new process cannot load the modules; the %d that work stay as they are until the next %s: %s"
            log.error(text, self._why, stay, self._why, why)
        elif why != self._failure:
            log.error("a new process cannot load the modules; trying again until it can: %s", why)
        self._failure = why

    def died_of_no_task(self, each: Child) -> None:
        """Replace processes that die at once, of no task, more and more slowly."""
        if time.monotonic() - each.born >= QUICK:
            self._quick_deaths = 0
        elif pause := self._wait_longer():
            log.warning("processes die as soon as they start; the next one starts in %.1f s", pause)

    def _wait_longer(self) -> float:
        self._quick_deaths += 1
        pause = min(SLOWEST, 0.1 * 2.0**self._quick_deaths) if self._quick_deaths > 3 else 0.0
        self.not_before = max(self.not_before, time.monotonic() + pause)
        return pause


def dismiss(each: Child) -> None:
    """Have a process that has not begun end."""
    if each.is_ready:
        each.stop()
    else:  # it still imports: there is nothing to finish
        each.end("", "shutdown")
