"""What the death of a child means: how it died, whom of what it ran that charges, what follows.

What the charges come to is decided by reap.lua; what has to be written at Redis goes to its pending writes.
"""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hotqueue import presence
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.rules import history
from hotqueue.tasks.rules.history import SUSPECT
from hotqueue.tasks.supervisor.children import Slot
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Dead, Processes
from hotqueue.tasks.supervisor.quarantine import Quarantine
from hotqueue.tasks.supervisor.replacement import Replacement
from hotqueue.tasks.worker.reporter import EXIT_CRASH
from hotqueue.tasks.worker.task_log import about, shown

log = logging.getLogger("hotqueue.worker")

NAMED = 20  # tasks that a line of the log names


@dataclass(frozen=True)
class Death:
    """The end of a process.

    Attributes:
        how: in words.
        cause: a line of JSON for the history of the charged.
        verdict: what it means for them: KILLED, TIME_LIMIT or REVOKED of history.py.
        charged: their ids.
        fates: what becomes of each; see `history.fate`.
    """

    how: str = ""
    cause: str = ""
    verdict: str = history.KILLED
    charged: Sequence[str] = ()
    fates: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> list[str]:
        """Those of the charged that do not run again."""
        if self.verdict != history.KILLED:
            return []
        return [task_id for task_id in self.charged if history.is_last(self._fate(task_id), len(self.charged))]

    def _fate(self, task_id: str) -> int:
        return self.fates.get(task_id, 0)

    @property
    def charge(self) -> Charge:
        """What it means for the tasks that ran."""
        return Charge(self.cause, self.charged, self.verdict, len(self.charged), self.last)

    @property
    def aftermath(self) -> str:
        """What becomes of what ran, as the end of a message."""
        if self.verdict != history.KILLED:
            return ""
        last = self.last
        again = [task_id for task_id in self.charged if task_id not in last]
        is_shared = len(self.charged) > 1
        suspects = [each for each in again if not is_shared or self._fate(each) & SUSPECT]
        innocent = [each for each in again if each not in suspects]
        fates = [
            (innocent, ", which {runs} again as before"),
            (suspects, ", which {runs} again in quarantine: {is_one} suspected of killing {its} process"),
            (last, " for the last time (max_deliveries), which {goes} to the dead list"),
        ]
        side_by_side = " side by side" if is_shared else ""
        return "".join(f"; it ran{side_by_side} {_listed(ids)}{_inflected(text, ids)}" for ids, text in fates if ids)


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(map(shown, ids[:NAMED])) + more


def _inflected(text: str, ids: Sequence[str]) -> str:
    if len(ids) == 1:
        return text.format(runs="runs", goes="goes", is_one="it is", its="its")
    return text.format(runs="run", goes="go", is_one="they are", its="their")


def death_of(dead: Dead) -> Death:
    """Return what the end of a child comes to; it charges nobody where it was our doing, but whom it was done for."""
    now = int(time.time() * 1000)
    how = how_it_died(dead.code, dead.peak_kb)
    if dead.child.ended_for is None:
        return _by_itself(dead, how, now)
    task_id, why = dead.child.ended_for
    if why == "time limit":
        line = history.error_line("time limit", "ran longer than its time_limit and was stopped", now)
        return Death(how, json.dumps(line), history.TIME_LIMIT, [task_id])
    if why == "revoked":  # it would start again before anyone could end it where it waits
        line = history.error_line("revoked", "was stopped by revoke()", now)
        return Death(how, json.dumps(line), history.REVOKED, [task_id])
    return Death(how)


def _by_itself(dead: Dead, how: str, now: int) -> Death:
    charged = dead.child.running()
    kind, error = history.how_it_killed(how, len(charged))
    line = history.error_line(kind, error, now, exit=dead.code, peak_kb=dead.peak_kb)
    return Death(how, json.dumps(line), history.KILLED, charged, dead.child.fates())


def how_it_died(code: int, peak_kb: int) -> str:
    """Return how a process ended, in words."""
    memory = f"(peak memory {peak_kb // 1024} MB)"
    if code >= 0:
        return f"exited with {code} without finishing its task {memory}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", by hand or for want of memory" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint} {memory}"


class Deaths:
    """Sees to what a supervisor's dead children leave.

    1. What they held at each queue is put back, and what ran is charged, unless their end was our doing (`_put_back`).
    2. A first process that dies before it could import the modules ends the supervisor.
    3. Otherwise what starts others in its place learns of it: the replacement of processes, the quarantine (`_replace`).
    4. The log says how it died, and what becomes of what it ran (`_say`).
    """

    def __init__(self, state: Phase, pool: Processes, replacement: Replacement, quarantine: Quarantine) -> None:
        self._state = state
        self._pool = pool
        self._replacement = replacement
        self._quarantine = quarantine

    def conclude(self, dead: Dead) -> None:
        """See to what a child left that has ended, and is off the list."""
        each, death = dead.child, death_of(dead)
        self._put_back(dead, death)
        each.close()
        if self._state.upkeep is None and self._state.exit is None and not each.is_ready:
            self._state.cannot_begin(f"the first process {death.how}, before it had imported the modules", EXIT_CRASH)
            return
        self._replace(dead, death)
        if not (each.is_ready or each.is_stopping or each.ended_for):
            why = each.why_not or f"a process {death.how}, before it had imported them"
            self._replacement.cannot_load(each, self._pool.ordinary, why)
            return
        if dead.code == 0 or each.ended_for:
            return
        self._say(dead, death)
        if not death.charged and each.suspects is None:  # a task that kills its process must not hold up the others
            self._replacement.died_of_no_task(each)

    def _put_back(self, dead: Dead, death: Death) -> None:
        each = dead.child
        for slot in each.slots.values():
            if dead.code == 0 and not death.charged and presence.has_left(slot.folder, slot.worker):
                continue  # a trip for each of many queues may take longer than we have
            if not death.charged:  # should Redis stay away until we have left as well, others read it there
                presence.clear_state(slot.folder, slot.worker)
            unreaped = set(each.not_left())
            for broker in each.not_left():
                self._state.write_later(broker, self._reaping(broker, slot, death, unreaped))
        if self._state.upkeep is not None and (dead.code != 0 or each.ended_for or each.suspects):
            self._state.upkeep.sweep_soon()  # it may have registered a worker and died before it could say so

    def _reaping(self, broker: Broker, slot: Slot, death: Death, unreaped: set[Broker]) -> Callable[[], None]:
        def reap() -> None:
            broker.reap(slot.worker, known_dead=True, charge=death.charge)
            unreaped.discard(broker)
            if death.charged and self._state.upkeep is not None:
                self._state.upkeep.sweep_soon(broker)  # there may be suspects now
            if not unreaped:
                presence.forget(slot.folder, slot.worker)

        return reap

    def _replace(self, dead: Dead, death: Death) -> None:
        each = dead.child
        self._replacement.died(each)
        if each.suspects is not None:
            well = dead.code == 0 or bool(death.charged) or each.ended_for is not None
            self._quarantine.ended(each.suspects, well=well)
        if each.suspects is not None or (dead.code != 0 and each.leaves_by is None):
            self._replacement.make_up_for(each)  # also after a quarantine process: it may have sent more, or retry

    def _say(self, dead: Dead, death: Death) -> None:
        each, charged = dead.child, death.charged
        if each.leaves_by is not None:
            log.error("process %d ended with exit code %d while it did what is done at an exit", each.pid, dead.code)
        elif each.is_ready and not (self._state.exit is not None and each.is_stopping):
            facts = about(charged[0] if len(charged) == 1 else "", exit=dead.code, task_ids=charged or None)
            log.error("process %d %s%s", each.pid, death.how, death.aftermath, extra=facts)
