"""Which processes are started, put to work and let go, so that as many work as are wanted while some are replaced. Pure.

The heir comes first: a process is loaded (it has imported the modules) before the one that it follows stops fetching. What
cannot be loaded replaces nobody. The supervisor does what is planned here. See docs/decisions/0033.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hotqueue.tasks.children import Child

SHARE = 4  # while processes are replaced, one more is loaded at a time for each so many that are wanted


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


def plan(children: Sequence[Child], wanted: int, owed: int | None = None) -> Plan:
    """Plan what is to be done next.

    Args:
        wanted: how many are to work.
        owed: of a burst: how many are to begin, since only they know when it is over; None: as many as `wanted` lacks.
    """
    working = [each for each in children if each.is_at_work and not each.is_followed]
    spares = [each for each in children if each.is_spare]
    missing = max(0, wanted - len(working)) if owed is None else owed
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
