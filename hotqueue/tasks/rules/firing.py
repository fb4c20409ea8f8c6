"""Firing: what is known of a schedule between two slots, and which of its slots are fired when some have come. Pure.

When a timetable has its slots is in periodic.py; who asks, and what is written, is for broker/ and supervisor/.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from hotqueue.tasks.rules.periodic import Timetable, jitter_ms, slot_text

MOST = 1000  # slots of one schedule that are made up for
LATE = 60_000  # ms by which a slot may be late, while a worker lived, and still is not missed
MISFIRE, OVERLAP = ("once", "skip", "all"), ("allow", "skip")
DURABLE = "-"  # in place of a version


class Plan(NamedTuple):
    """What of a schedule's definition decides about its slots."""

    name: str
    timetable: Timetable
    misfire: str = "once"
    overlap: str = "allow"
    jitter: float = 0.0

    def due(self, slot: int) -> int:
        """Return when a slot is to be fired, in ms: what it is put off by is the same for all."""
        return slot + (jitter_ms(self.name, slot, self.jitter) if self.jitter else 0)

    def task_id(self, slot: int) -> str:
        """Return the id of the task that a slot fires."""
        return f"periodic:{self.name}:{slot_text(slot)}"


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a schedule beside its definition; each change of a schedule changes its text.

    Attributes:
        slot: ms of the next one; None: it has none any more.
        last: ms of the one that was fired last; None before the first.
        is_paused: it does not fire.
        digest: of the definition.
        table: digest of what says when its slots are.
        version: of the declarations that it is one of; DURABLE where it was made at run time.
        declared: ms at which these were first declared, by whoever declared them last.
    """

    slot: int | None
    last: int | None
    is_paused: bool
    digest: str
    table: str
    version: str = DURABLE
    declared: int = 0

    @property
    def text(self) -> str:
        """As it is stored."""
        slot, last = ("-" if ms is None else str(ms) for ms in (self.slot, self.last))
        return f"{slot} {last} {int(self.is_paused)} {self.digest} {self.table} {self.version} {self.declared}"

    @classmethod
    def read(cls, text: str) -> State | None:
        """Return the state in a text; None where nobody of ours wrote it."""
        try:
            slot, last, is_paused, digest, table, version, declared = text.split(" ")[:7]
            found = [None if ms == "-" else int(ms) for ms in (slot, last)]
            return cls(found[0], found[1], is_paused == "1", digest, table, version, int(declared))
        except ValueError:
            return None

    def due(self, plan: Plan) -> str:
        """Return when it is to fire, as `Change` has it: ms, or "" for not."""
        return "" if self.slot is None or self.is_paused else str(plan.due(self.slot))


def slots_to_fire(plan: Plan, state: State, now: int, lived_since: int) -> tuple[list[int], int | None]:
    """Return the slots to be fired, in order, and the next one, of a schedule whose next slot has come.

    A slot that passed while a worker lived is late, and fired, however many there are: the server was away, say. One that
    passed while none lived, or LATE ago, is missed.

    Args:
        now: ms, by the server's clock.
        lived_since: since when a worker has lived that would have fired, in ms.
    """
    assert state.slot is not None
    passed = plan.timetable.between(state.slot - 1, now, MOST)
    if not passed:
        return [], plan.timetable.after(now)
    if plan.jitter:
        passed = passed[: next((n for n, slot in enumerate(passed) if plan.due(slot) > now), len(passed))]
    if not passed:
        return [], state.slot
    from_here = max(lived_since, now - LATE)
    missed = [slot for slot in passed if slot < from_here]
    made_up = {"once": missed[-1:], "skip": [], "all": missed}[plan.misfire]
    return made_up + passed[len(missed) :], plan.timetable.after(passed[-1])


def has_missed(state: State, now: int, lived_since: int) -> bool:
    """Tell whether a slot passed for which somebody may have been there who lived longer than we."""
    return state.slot is not None and state.slot < lived_since and now - state.slot < LATE


def fired(state: State, slots: list[int], following: int | None) -> State:
    """Return the state behind these slots."""
    return replace(state, slot=following, last=slots[-1] if slots else state.last)


def resumed(state: State, plan: Plan, now: int) -> State:
    """Return the state of a schedule that was paused: what passed meanwhile was not missed."""
    return replace(state, is_paused=False, slot=plan.timetable.after(now)) if state.is_paused else state


def put_back(state: State, plan: Plan, now: int) -> State:
    """Return the state of a schedule that fired by a clock which was far ahead: its slots come again, as that time does."""
    following = plan.timetable.after(now)
    is_far = state.slot is not None and following is not None and state.slot > following
    return replace(state, slot=following, last=None if (state.last or 0) > now else state.last) if is_far else state


def defined(plan: Plan, digest: str, table: str, before: State | None, now: int, version: str = DURABLE, at: int = 0) -> State:
    """Return the state of a schedule that is defined anew; where its slots stay the same, it goes on where it was."""
    if before is None:
        return State(plan.timetable.after(now), None, False, digest, table, version, at)
    slot = before.slot if before.table == table else plan.timetable.after(max(now, before.last or 0))
    return replace(before, slot=slot, digest=digest, table=table, version=version, declared=at)


def counts(before: State | None, digest: str, version: str, at: int, live: Collection[str]) -> bool:
    """Tell whether a declaration takes the place of what is there: it is newer, or nobody who lives declares that any more.

    Args:
        digest, version, at: of the declaration: of this schedule, of all that are declared with it, when that was first.
        live: the versions that somebody declares who lives.
    """
    if before is None:
        return True
    if before.version == DURABLE:
        return False
    if before.version == version:
        return before.digest != digest  # something else was put there
    return at > before.declared or before.version not in live
