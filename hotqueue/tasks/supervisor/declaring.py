"""Declaring: the schedules that the modules of this process declare at one queue, kept there as long as it lives.

Which declaration counts where there are several is decided in rules/firing.py. Fires nothing.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.scheduling import Change, version_of
from hotqueue.tasks.rules import firing
from hotqueue.tasks.rules.firing import DURABLE, State
from hotqueue.tasks.supervisor.schedule_mending import forget
from hotqueue.tasks.wire import schedule_row
from hotqueue.tasks.worker import failpoints


class Declared(NamedTuple):
    """The schedules that the modules of a worker declare at one queue.

    Attributes:
        version: digest of all of them; "" of none.
        rows: name → the encoded row, its digest, and that of its timetable.
    """

    version: str
    rows: dict[str, tuple[bytes, str, str]]


NONE = Declared("", {})


class Declaring:
    """Declares schedules.

    Args:
        alive_ms: for how long whoever declares them counts as alive.
        say: logs what is wrong, once.

    Attributes:
        renew_at: when it is to be said again that we live (monotonic).
    """

    def __init__(self, broker: Broker, alive_ms: int, say: Callable[[str], None]) -> None:
        self.renew_at = math.inf
        self._broker, self._alive_ms, self._say = broker, alive_ms, say
        self._declared = self._to_declare = NONE
        self._who, self._since = "", 0  # as we declare them, and when we did first
        self._others: set[str] | None = None  # versions that others declare; None: look at what is there in any case

    def declares(self, name: str, state: State) -> bool:
        """Tell whether we declare this very schedule, which nobody else does any more; what we declare is put there soon."""
        ours = self._declared.rows.get(name)
        if ours is None:
            return False
        self.renew_at, self._others = 0.0, None
        return ours[1] == state.digest

    def declare(self, declared: Declared) -> None:
        """Declare these schedules from now on, instead of those of before. For any thread."""
        self._to_declare = declared
        if declared.version != self._declared.version:
            self.renew_at = 0.0

    def end(self) -> None:
        """Say that what we declared is not declared any more by us."""
        if self._who:
            self._broker.declare(self._who, 0)
            self._who = ""

    def renew(self) -> None:
        """Say that we live; see to it that what we declare is there, where somebody came or went since we did last."""
        if self._to_declare.version != self._declared.version:
            self.end()
            self._declared, self._others = self._to_declare, None
        if not self._declared.rows:
            self.renew_at = math.inf
            return
        if not self._who:
            self._begin()
        if failpoints.IS_ARMED:
            failpoints.at("before_declare")
        found = self._broker.declare(self._who, self._alive_ms)
        others = {version_of(who) for who in found.others}
        if not found.was_live or others != self._others:
            self._settle(found.now, {*others, self._declared.version})
            self._others = others
            if failpoints.IS_ARMED:
                failpoints.at("after_declare")
        if found.forgotten:
            forget(self._broker)
        self.renew_at = time.monotonic() + self._alive_ms / 3000

    def _begin(self) -> None:
        """Take a name, with the time of this declaration: later than those of all others who live, whatever the clock says."""
        due = self._broker.due_schedules(0)
        self._since = max([due.now, *(_declared_at(who) + 1 for who in due.live)])
        self._who = f"{self._declared.version} {self._since} {socket.gethostname()}:{os.getpid()} {secrets.token_hex(4)}"

    def _settle(self, now: int, live: set[str]) -> None:
        """Put what we declare in the place of what is older, or declared by nobody who lives; and where it fires."""
        names = list(self._declared.rows)
        changes = []
        for name, (text, has_place) in zip(names, self._broker.schedules_and_places(names), strict=True):
            before = State.read(text) if text else None
            data, digest, table = self._declared.rows[name]
            if before is not None and before.version == DURABLE:
                self._say(
                    f"schedule {name!r:.200} is declared in code, but one that queue.schedule() made has this name, and stays"
                )
            elif firing.counts(before, digest, self._declared.version, self._since, live):
                plan = schedule_row.decode(data, name, None).plan
                after = firing.defined(plan, digest, table, before, now, self._declared.version, self._since)
                changes.append(Change(name, text, after.text, data, after.due(plan)))
            elif before is not None and not has_place and before.digest == digest:  # while nobody declared it, it had none
                changes.append(Change(name, text, text, due=before.due(schedule_row.decode(data, name, None).plan)))
        self._broker.set_schedules(changes)


def _declared_at(who: str) -> int:
    word = who.split(" ")[1:2]
    return int(word[0]) if word and word[0].isdigit() and len(word[0]) < 16 else 0
