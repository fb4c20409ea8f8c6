"""The account of a chaos run, from what was written down: pure. Words as in Jepsen's queue checkers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import wire
from tests.chaos.faults import Fault
from tests.chaos.schedule import OTHER, UPGRADE

JUST_ENDED = 0.05  # seconds: a task that ended so shortly before its process died may not have been told yet
AT_FAILOVER = 5.0  # seconds before a failover in which an acknowledgement may have reached the old master alone
ON_DISK = 2.5  # seconds that `appendfsync everysec` may be behind when a server is killed whose disk lags
NEAR = 1.0  # seconds for which what is back may still lengthen the recovery from another fault
MISSED = 20.0  # seconds after which a new process is not put down to a fault any more
GENTLE = {"rolling restart", "hang up", UPGRADE}  # nothing is to be broken off by these
OTHER_FAULT, MIXED_WIRE = "with another fault", "of the next wire version"


@dataclass
class Sent:
    """What the producers wrote down."""

    attempted: dict[str, str] = field(default_factory=dict)  # call → kind
    acknowledged: dict[str, tuple[float, str]] = field(default_factory=dict)  # call → moment, task id
    wires: dict[str, int] = field(default_factory=dict)  # call → wire version
    unknown: dict[str, str] = field(default_factory=dict)  # call whose outcome was unknown at first → error
    again: dict[str, str] = field(
        default_factory=dict
    )  # such a call, once repeated under its id → whether it was "known" or "new"
    slowest_error: float = 0.0
    slowest_ack: float = 0.0

    def read(self, lines: Iterable[str]) -> None:
        """Take in one producer's file."""
        for line in lines:
            at, what, n, more, *rest = line.split()
            if what == "attempt":
                self.attempted[n], self.wires[n] = more, int(rest[0])
            elif what == "again":
                self.again[n] = more
            elif what == "ack":
                self.acknowledged[n] = float(at), more
                self.slowest_ack = max(self.slowest_ack, float(rest[0]))
            else:
                self.unknown.setdefault(n, rest[0])
                self.slowest_error = max(self.slowest_error, float(more))


@dataclass
class Run:
    """One run of a task.

    Attributes:
        wire: the version that its worker speaks.
    """

    n: str
    retries: int
    pid: int
    start: float
    end: float = math.inf
    wire: int = wire.NOW
    id: str = ""


def read_runs(lines: Iterable[str]) -> list[Run]:
    """Return every run that the tasks noted, by moment of start."""
    runs: list[Run] = []
    going: dict[tuple[str, str, str], Run] = {}
    for line in lines:
        at, what, n, retries, pid, version, task_id = line.split()
        if what == "start":
            going[n, retries, pid] = Run(n, int(retries), int(pid), float(at), wire=int(version), id=task_id)
            runs.append(going[n, retries, pid])
        else:
            going[n, retries, pid].end = float(at)
    return sorted(runs, key=lambda run: run.start)


def account(sent: Sent, runs: list[Run], successes: set[str], failures: set[str], faults: list[Fault]) -> dict[str, Any]:
    """Return the figures.

    Args:
        successes, failures: ids of tasks whose stored record says so at the end.
    """
    poisons = {n for n, kind in sent.attempted.items() if kind == "poison"}
    retried = {run.n for run in runs if run.retries}
    completed = {run.n for run in runs if run.end < math.inf and run.n not in poisons}
    ids = {task_id: n for n, (_, task_id) in sent.acknowledged.items()}
    succeeded = {ids[task_id] for task_id in successes if task_id in ids}
    failed = {ids[task_id] for task_id in failures if task_id in ids}
    ended = succeeded | (failed & poisons)
    lost = {n: at for n, (at, _) in sent.acknowledged.items() if n not in ended}
    failovers = [fault for fault in faults if fault.kind == "failover"]
    by_failover = {n for n, at in lost.items() if _is_before(failovers, at, n, runs, AT_FAILOVER, AT_FAILOVER)}
    lagging = [fault for fault in faults if fault.is_on_lagging_disk]
    by_disk = {n for n, at in lost.items() if _is_before(lagging, at, n, runs, ON_DISK, 0.0)} - by_failover
    starts = Counter((run.n, run.retries) for run in runs if run.n not in poisons)
    return {
        "attempted": len(sent.attempted),
        "acknowledged": len(sent.acknowledged),
        "completed": len(completed | ended),
        "lost": len(lost.keys() - by_failover - by_disk),
        "lost at a failover": len(by_failover),
        "lost by a server killed while its disk lagged": len(by_disk),
        "kills while the disk lagged": len(lagging),
        "lost calls": sorted(lost.keys() - by_failover - by_disk)[:50],
        "unexpected": len({run.n for run in runs} - sent.attempted.keys()),
        "recovered": len((completed | ended) - sent.acknowledged.keys()),
        **_outcomes(sent, runs),
        **_wires(sent, runs, faults),
        "duplicated": sum(times - 1 for times in starts.values()),
        "of these after an end": _after_an_end(runs, poisons),
        "in flight at deaths": sum(len(hit) for fault, hit in _hits(runs, faults, poisons) if fault.pids),
        "just ended at deaths": _just_ended(runs, faults, poisons),
        "in flight at server faults": sum(len(hit) for fault, hit in _hits(runs, faults, poisons) if not fault.pids),
        "retried": len(retried),
        "poisons": len(poisons & sent.acknowledged.keys()),
        "poisons in the dead list": len(failed & poisons),
        "failed though good": sorted(failed - poisons),
        "errors of calls": dict(Counter(sent.unknown.values())),
        "slowest error of a call": sent.slowest_error,
        "slowest acknowledged call": sent.slowest_ack,
    }


def _outcomes(sent: Sent, runs: list[Run]) -> dict[str, Any]:
    """Return what became of the calls whose outcome was unknown at first."""
    ids: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        ids[run.n].add(run.id)
    return {
        "outcome unknown at first": len(sent.unknown),
        "repeated under their ids": len(sent.again),
        "of these stored already": sum(answer == "known" for answer in sent.again.values()),
        "left unknown": len(sent.unknown.keys() - sent.acknowledged.keys()),
        "doubled": sum(len(of_one) > 1 for of_one in ids.values()),
    }


def _wires(sent: Sent, runs: list[Run], faults: list[Fault]) -> dict[str, Any]:
    """Return how the tasks of the next wire version fared, beside workers that do not know it."""
    upgrades = [fault.at for fault in faults if fault.kind == UPGRADE]
    first = min(upgrades, default=math.inf)
    newer = {n for n, version in sent.wires.items() if version == wire.NEXT}
    kept = {n for n in newer if n in sent.acknowledged and sent.acknowledged[n][0] < first}
    began: dict[str, float] = {}
    for run in runs:
        began.setdefault(run.n, run.start)
    return {
        "of the next wire version": len(newer & sent.acknowledged.keys()),
        "kept until there was a worker for it": len(kept),
        "seconds from then until all of these had begun": round(
            max((began.get(n, first) for n in kept), default=first) - first, 2
        )
        if kept
        else 0.0,
        "run by a worker too old": sum(run.wire < sent.wires.get(run.n, run.wire) for run in runs),
        "of today's version, run by a newer worker": len({r.n for r in runs if r.wire > sent.wires.get(r.n, r.wire)}),
    }


def _after_an_end(runs: list[Run], poisons: set[str]) -> int:
    """Return how many starts followed a run that had ended: it was not recorded yet when its process or the server died."""
    before: dict[tuple[str, int], Run] = {}
    count = 0
    for run in runs:
        last = before.get((run.n, run.retries))
        count += last is not None and last.end < math.inf and run.n not in poisons
        before[run.n, run.retries] = run
    return count


def _is_before(faults: list[Fault], at: float, n: str, runs: list[Run], before: float, after: float) -> bool:
    """Tell whether the last that is known of a task is from so many seconds around one of these faults."""
    moments = [at, *(run.end for run in runs if run.n == n and run.end < math.inf)]
    return any(fault.at - before <= moment <= fault.at + after for moment in moments for fault in faults)


def _deaths_by_poison(runs: list[Run], poisons: set[str]) -> list[Fault]:
    return [Fault("poison", run.start, pids=[run.pid]) for run in runs if run.n in poisons]


def _hits(runs: list[Run], faults: list[Fault], poisons: set[str]) -> list[tuple[Fault, list[Run]]]:
    """Return each fault with the runs that it broke off or held up."""
    by_pid: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        by_pid[run.pid].append(run)
    found = []
    for fault in (*faults, *_deaths_by_poison(runs, poisons)):
        if fault.kind in GENTLE:
            continue
        every = fault.pids or ([] if fault.back is None else list(by_pid))  # away, the server is so for every process
        running = [run for pid in every for run in by_pid[pid] if run.start <= fault.at and run.end >= fault.at]
        found.append((fault, running))
    return found


def _just_ended(runs: list[Run], faults: list[Fault], poisons: set[str]) -> int:
    blows = [*(fault for fault in faults if fault.kind not in GENTLE), *_deaths_by_poison(runs, poisons)]
    return sum(any(f.at - JUST_ENDED <= run.end < f.at and run.pid in f.pids for f in blows) for run in runs)


def recovery(runs: list[Run], faults: list[Fault], sent: Sent) -> dict[str, dict[str, list[float]]]:
    """Return the seconds until work went on, by kind of fault.

    "again": until a task that the fault broke off started again, which is to wait for nobody. "held": until one started that had
    been fetched, and not started. "new": until the first start in a process that was not running before. "after": from the
    moment the server was back until the first start.
    """
    poisons = {n for n, kind in sent.attempted.items() if kind == "poison"}
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"held": [], "again": [], "new": [], "after": []})
    starts: dict[str, list[float]] = defaultdict(list)
    first_of: dict[int, float] = {}
    first_by: dict[str, int] = {}
    for run in runs:
        starts[run.n].append(run.start)
        first_by.setdefault(run.n, run.pid)
        first_of.setdefault(run.pid, run.start)
    rows = _Rows(faults, sent)
    for fault, hit in _hits(runs, faults, poisons):
        broken = [run for run in hit if run.end == math.inf or fault.kind == "pause a worker"] if fault.pids else []
        for run in broken:
            if again := [at - fault.at for at in starts[run.n] if at > fault.at]:
                times[rows.of(fault, again[0], run.n)]["again"].append(again[0])
    calls = {task_id: n for n, (_, task_id) in sent.acknowledged.items()}
    for fault in faults:
        for n in {calls[task_id] for task_id in fault.held if task_id in calls}:
            if rows.is_mixed(fault, n):
                continue  # fetched by one that cannot run it: it waits for no recovery but for an upgrade
            if starts[n] and starts[n][0] > fault.at and first_by[n] not in fault.pids:
                times[rows.of(fault, starts[n][0] - fault.at, n)]["held"].append(starts[n][0] - fault.at)
        new = min((at - fault.at for at in first_of.values() if fault.at < at < fault.at + MISSED), default=None)
        if fault.pids and fault.kind != "pause a worker" and new is not None:
            times[rows.of(fault, new)]["new"].append(new)
        if not fault.pids and fault.back is not None:
            of_it = [run for run in runs if fault.kind != OTHER or sent.attempted.get(run.n) == "elsewhere"]
            times[fault.kind]["after"] += [run.start - fault.back for run in of_it if run.start > fault.back][:1]
    return times


class _Rows:
    """Which row of the table a time belongs to: that of its fault, or one of its own where something else made it longer."""

    def __init__(self, faults: list[Fault], sent: Sent) -> None:
        # The other server is no excuse: what happens there must cost nobody here anything.
        self._absences = [(fault.at, fault.back or fault.at) for fault in faults if not fault.pids and fault.kind != OTHER]
        self._pauses = [fault.at for fault in faults if fault.kind == "pause a worker"]
        self._all_new = max((fault.at for fault in faults if fault.kind == UPGRADE), default=-math.inf)
        self._wires = sent.wires

    def of(self, fault: Fault, seconds: float, n: str = "") -> str:
        """Return the row of a time: the server was away meanwhile, or a worker was paused that may have taken the task."""
        if self.is_mixed(fault, n):
            return MIXED_WIRE
        then = fault.at + seconds
        if fault.was_paused or any(fault.at < at < then for at in self._pauses):
            return OTHER_FAULT
        if any(at < then and fault.at < back + NEAR for at, back in self._absences if at != fault.at):
            return OTHER_FAULT
        return fault.kind

    def is_mixed(self, fault: Fault, n: str) -> bool:
        """Tell whether a task had to pass by workers that do not know its wire version."""
        return fault.at < self._all_new and self._wires.get(n) == wire.NEXT


def summary(values: list[float], kind: str = "", what: str = "") -> dict[str, float]:
    """Return number, median, 99th percentile and maximum, and what the percentile is to stay under, if anything."""
    told = sorted(values)
    target = {"target": TARGETS[kind, what]} if (kind, what) in TARGETS else {}
    return {"n": len(told), "p50": _at(told, 0.5), "p99": _at(told, 0.99), "max": told[-1], **target}


def _at(told: list[float], share: float) -> float:
    return told[min(len(told) - 1, math.ceil(share * len(told)) - 1)]


MUST_NOT_BE = ("lost", "unexpected", "doubled", "recorded twice", "run by a worker too old")
EXCUSED = ("lost at a failover", "lost by a server killed while its disk lagged")
# Seconds that the 99th percentile is to stay under: a process of a worker, a whole worker on the same machine, the server.
TARGETS = {
    ("kill a process", "held"): 1.0,
    **{(kind, what): 2.0 for kind in ("kill a supervisor", "kill a whole worker") for what in ("held", "again")},
    **{(kind, "after"): 2.0 for kind in ("kill the server", "restart the server", "keep the server away", "freeze the server")},
}

WORDS = {
    "held": "what it had fetched starts",
    "again": "its tasks start again",
    "new": "a new process starts a task",
    "after": "a task starts, the server being back",
}


def table(figures: dict[str, Any]) -> str:
    """Return the figures of a run as text."""
    lines = [f"  {what:<28} {told}" for what, told in figures.items() if not isinstance(told, dict) and told != []]
    lines += ["", f"  {'fault':<24} {'until':<38} {'n':>4} {'p50':>7} {'p99':>7} {'max':>7}  {'target':>6}  s"]
    for kind, by in sorted(figures["recovery"].items()):
        for what, told in by.items():
            figures_of_row = " ".join(f"{told[which]:>7.3f}" for which in ("p50", "p99", "max"))
            target = f"  {told['target']:>6g}" if "target" in told else ""
            lines.append(f"  {kind:<24} {WORDS[what]:<38} {told['n']:>4} {figures_of_row}{target}")
    return "\n".join(lines)


def verdict(figures: dict[str, Any]) -> list[str]:
    """Return what must not be; nothing when the run held."""
    wrong = [f"{what}: {figures[what]}" for what in MUST_NOT_BE if figures[what]]
    wrong += [
        f"{what}: {figures[what]}"
        for what in ("failed though good", "keys left", "not taken up", "wrong with workers")
        if figures[what]
    ]
    if figures["poisons"] != figures["poisons in the dead list"]:
        wrong.append(f"{figures['poisons']} poisons, of which {figures['poisons in the dead list']} are in the dead list")
    if figures["unfinished"]:
        wrong.append(f"not drained: {figures['unfinished']} tasks were unfinished {figures['seconds to drain']} s after the end")
    return wrong


def held(figures: dict[str, Any]) -> str:
    """Return what is said of a run that held; what the server itself lost is no secret."""
    excused = [f"{figures[what]} {what}" for what in EXCUSED if figures[what]]
    return f"held: {', '.join(excused) or 'nothing lost'}, nothing recorded twice, nothing left"
