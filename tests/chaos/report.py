"""The account of a chaos run, from what was written down: pure. Words as in Jepsen's queue checkers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.faults import Fault

JUST_ENDED = 0.05  # seconds: a task that ended so shortly before its process died may not have been told yet
AT_FAILOVER = 5.0  # seconds before a failover in which an acknowledgement may have reached the old master alone
NEAR = 1.0  # seconds for which what is back may still lengthen the recovery from another fault
MISSED = 20.0  # seconds after which nothing is put down to a fault any more


@dataclass
class Sent:
    """What the producers wrote down."""

    attempted: dict[str, str] = field(default_factory=dict)  # call → kind
    acknowledged: dict[str, tuple[float, str]] = field(default_factory=dict)  # call → moment, task id
    unknown: Counter[str] = field(default_factory=Counter)  # error → times
    slowest_error: float = 0.0
    slowest_ack: float = 0.0

    def read(self, lines: Iterable[str]) -> None:
        """Take in one producer's file."""
        for line in lines:
            at, what, n, more, *rest = line.split()
            if what == "attempt":
                self.attempted[n] = more
            elif what == "ack":
                self.acknowledged[n] = float(at), more
                self.slowest_ack = max(self.slowest_ack, float(rest[0]))
            else:
                self.unknown[rest[0]] += 1
                self.slowest_error = max(self.slowest_error, float(more))


@dataclass
class Run:
    """One run of a task."""

    n: str
    retries: int
    pid: int
    start: float
    end: float = math.inf


def read_runs(lines: Iterable[str]) -> list[Run]:
    """Return every run that the tasks noted, by moment of start."""
    runs: list[Run] = []
    going: dict[tuple[str, str, str], Run] = {}
    for line in lines:
        at, what, n, retries, pid = line.split()
        if what == "start":
            going[n, retries, pid] = Run(n, int(retries), int(pid), float(at))
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
    by_failover = {n for n, at in lost.items() if _is_before_a_failover(at, completed, n, runs, faults)}
    starts = Counter((run.n, run.retries) for run in runs if run.n not in poisons)
    return {
        "attempted": len(sent.attempted),
        "acknowledged": len(sent.acknowledged),
        "completed": len(completed | ended),
        "lost": len(lost.keys() - by_failover),
        "lost at a failover": len(by_failover),
        "lost calls": sorted(lost.keys() - by_failover)[:50],
        "unexpected": len({run.n for run in runs} - sent.attempted.keys()),
        "recovered": len((completed | ended) - sent.acknowledged.keys()),
        "duplicated": sum(times - 1 for times in starts.values()),
        "of these after an end": _after_an_end(runs, poisons),
        "in flight at deaths": sum(len(hit) for fault, hit in _hits(runs, faults, poisons) if fault.pids),
        "just ended at deaths": _just_ended(runs, faults, poisons),
        "in flight at server faults": sum(len(hit) for fault, hit in _hits(runs, faults, poisons) if not fault.pids),
        "retried": len(retried),
        "poisons": len(poisons & sent.acknowledged.keys()),
        "poisons in the dead list": len(failed & poisons),
        "failed though good": sorted(failed - poisons),
        "errors of calls": dict(sent.unknown),
        "slowest error of a call": sent.slowest_error,
        "slowest acknowledged call": sent.slowest_ack,
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


def _is_before_a_failover(at: float, completed: set[str], n: str, runs: list[Run], faults: list[Fault]) -> bool:
    """Tell whether the last that is known of a task is from shortly before a failover."""
    moments = [at, *(run.end for run in runs if run.n == n and run.end < math.inf)] if n in completed else [at]
    failovers = [fault.at for fault in faults if fault.kind == "failover"]
    return any(failover - AT_FAILOVER <= moment <= failover + AT_FAILOVER for moment in moments for failover in failovers)


def _deaths_by_poison(runs: list[Run], poisons: set[str]) -> list[Fault]:
    return [Fault("poison", run.start, pids=[run.pid]) for run in runs if run.n in poisons]


def _hits(runs: list[Run], faults: list[Fault], poisons: set[str]) -> list[tuple[Fault, list[Run]]]:
    """Return each fault with the runs that it broke off or held up."""
    by_pid: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        by_pid[run.pid].append(run)
    found = []
    for fault in (*faults, *_deaths_by_poison(runs, poisons)):
        if fault.kind == "rolling restart":
            continue  # nothing is to be broken off by that
        every = fault.pids or ([] if fault.back is None else list(by_pid))  # away, the server is so for every process
        running = [run for pid in every for run in by_pid[pid] if run.start <= fault.at and run.end >= fault.at]
        found.append((fault, running))
    return found


def _just_ended(runs: list[Run], faults: list[Fault], poisons: set[str]) -> int:
    blows = [*(fault for fault in faults if fault.kind != "rolling restart"), *_deaths_by_poison(runs, poisons)]
    return sum(any(f.at - JUST_ENDED <= run.end < f.at and run.pid in f.pids for f in blows) for run in runs)


def recovery(runs: list[Run], faults: list[Fault], sent: Sent) -> dict[str, dict[str, list[float]]]:
    """Return the seconds until work went on, by kind of fault.

    "again": until a task that the fault broke off started again. "new": until the first start in a process that was not
    running before. "after": from the moment the server was back until the first start.
    """
    poisons = {n for n, kind in sent.attempted.items() if kind == "poison"}
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"again": [], "new": [], "after": []})
    starts: dict[str, list[float]] = defaultdict(list)
    first_of: dict[int, float] = {}
    for run in runs:
        starts[run.n].append(run.start)
        first_of.setdefault(run.pid, run.start)
    for fault, hit in _hits(runs, faults, poisons):
        broken = [run for run in hit if run.end == math.inf or fault.kind == "pause a worker"] if fault.pids else []
        for run in broken:
            again = [at - fault.at for at in starts[run.n] if fault.at < at < fault.at + MISSED]
            if again:
                times[_row(fault, again[0], faults)]["again"].append(again[0])
    for fault in faults:
        new = min((at - fault.at for at in first_of.values() if fault.at < at < fault.at + MISSED), default=None)
        if fault.pids and fault.kind != "pause a worker" and new is not None:
            times[_row(fault, new, faults)]["new"].append(new)
        if not fault.pids and fault.back is not None:
            times[fault.kind]["after"] += [run.start - fault.back for run in runs if run.start > fault.back][:1]
    return times


def _row(fault: Fault, seconds: float, faults: list[Fault]) -> str:
    """Return the kind of a fault, for the table: where the server's absence, or a paused worker that had taken the task,
    made it longer, that has a row of its own."""
    absences = [(f.at, f.back or f.at) for f in faults if f is not fault and (not f.pids or f.kind == "pause a worker")]
    away = any(at < fault.at + seconds and fault.at < back + NEAR for at, back in absences)
    return "with another fault" if away else fault.kind


def summary(values: list[float]) -> dict[str, float]:
    """Return number, median, 99th percentile and maximum."""
    told = sorted(values)
    return {"n": len(told), "p50": _at(told, 0.5), "p99": _at(told, 0.99), "max": told[-1]}


def _at(told: list[float], share: float) -> float:
    return told[min(len(told) - 1, math.ceil(share * len(told)) - 1)]


WORDS = {
    "again": "its tasks start again",
    "new": "a new process starts a task",
    "after": "a task starts, the server being back",
}


def table(figures: dict[str, Any]) -> str:
    """Return the figures of a run as text."""
    lines = [f"  {what:<28} {told}" for what, told in figures.items() if not isinstance(told, dict) and told != []]
    lines += ["", f"  {'fault':<20} {'until':<38} {'n':>4} {'p50':>7} {'p99':>7} {'max':>7}  s"]
    for kind, by in sorted(figures["recovery"].items()):
        for what, told in by.items():
            lines.append(
                f"  {kind:<20} {WORDS[what]:<38} {told['n']:>4} {told['p50']:>7.3f} {told['p99']:>7.3f} {told['max']:>7.3f}"
            )
    return "\n".join(lines)


def verdict(figures: dict[str, Any]) -> list[str]:
    """Return what must not be; nothing when the run held."""
    wrong = [f"{what}: {figures[what]}" for what in ("lost", "unexpected", "recorded twice") if figures[what]]
    wrong += [f"{what}: {figures[what]}" for what in ("failed though good", "keys left", "wrong with workers") if figures[what]]
    if figures["poisons"] != figures["poisons in the dead list"]:
        wrong.append(f"{figures['poisons']} poisons, of which {figures['poisons in the dead list']} are in the dead list")
    if figures["unfinished"]:
        wrong.append(f"not drained: {figures['unfinished']} tasks were unfinished {figures['seconds to drain']} s after the end")
    return wrong
