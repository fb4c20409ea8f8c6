"""What the death of a child means for the tasks that it ran: how it died, whom that charges, what becomes of each, in words.

What the charges come to is decided by reap.lua. Writes nothing.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.rules import history
from hotqueue.tasks.rules.history import SUSPECT
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.worker.logbook import shown

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

    def reap(self, broker: Broker, worker: str) -> None:
        """Put back what a worker of the process held in one queue."""
        charge = Charge(self.cause, self.charged, self.verdict, len(self.charged), self.last)
        broker.reap(worker, known_dead=True, charge=charge)

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
        told = [
            (innocent, ", which {runs} again as before"),
            (suspects, ", which {runs} again in quarantine: {is_one} suspected of killing {its} process"),
            (last, " for the last time (max_deliveries), which {goes} to the dead list"),
        ]
        side_by_side = " side by side" if is_shared else ""
        return "".join(f"; it ran{side_by_side} {_listed(ids)}{_inflected(text, ids)}" for ids, text in told if ids)


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(map(shown, ids[:NAMED])) + more


def _inflected(text: str, ids: Sequence[str]) -> str:
    if len(ids) == 1:
        return text.format(runs="runs", goes="goes", is_one="it is", its="its")
    return text.format(runs="run", goes="go", is_one="they are", its="their")


def death_of(each: Child, code: int, peak_kb: int) -> Death:
    """Return what the end of a child comes to; it charges nobody where it was our doing, but whom it was done for."""
    now = int(time.time() * 1000)
    how = how_it_died(code, peak_kb)
    if each.ended_for is None:
        return _by_itself(each, how, code, peak_kb, now)
    task_id, why = each.ended_for
    if why == "time limit":
        line = history.error_line("time limit", "ran longer than its time_limit and was stopped", now)
        return Death(how, json.dumps(line), history.TIME_LIMIT, [task_id])
    if why == "revoked":  # it would start again before anyone could end it where it waits
        line = history.error_line("revoked", "was stopped by revoke()", now)
        return Death(how, json.dumps(line), history.REVOKED, [task_id])
    return Death(how)


def _by_itself(each: Child, how: str, code: int, peak_kb: int, now: int) -> Death:
    charged = each.running()
    kind, told = history.how_it_killed(how, len(charged))
    line = history.error_line(kind, told, now, exit=code, peak_kb=peak_kb)
    return Death(how, json.dumps(line), history.KILLED, charged, each.fates())


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
