"""``python -m tests.chaos.merged FILE...``: the figures of several runs' --json files together, as tables for the docs."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.chaos.report import WORDS, summary

OUTCOMES = (
    "outcome unknown at first",
    "repeated under their ids",
    "of these stored already",
    "left unknown",
    "recovered",
    "doubled",
)
WIRES = ("of the next wire version", "kept until there was a worker for it", "run by a worker too old")
COUNTS = {
    "acknowledged": "acknowledged",
    "faults": "faults",
    "lost": "lost",
    "lost at a failover": "lost at a failover",
    "lost by a server killed while its disk lagged": "lost by a server killed while its disk lagged",
    "recorded twice": "recorded twice",
    "unexpected": "unexpected",
    "duplicated": "started once more",
    "in flight at deaths": "in flight at deaths",
}


def by_server(runs: list[dict[str, Any]]) -> str:
    """Return a row of counts for each kind of server."""
    return _table(runs, COUNTS)


def _table(runs: list[dict[str, Any]], counts: dict[str, str]) -> str:
    lines = ["| server | runs | " + " | ".join(counts.values()) + " |", "|---" * (len(counts) + 2) + "|"]
    for server in sorted({run["server"] for run in runs}):
        these = [run for run in runs if run["server"] == server]
        told = [sum(_number(run[what]) for run in these) for what in counts]
        seconds = sum(run["seconds"] for run in these)
        lines.append(f"| {server} | {len(these)}, {seconds:g} s | " + " | ".join(f"{n:,}" for n in told) + " |")
    return "\n".join(lines)


def by_fault(runs: list[dict[str, Any]]) -> str:
    """Return a row of times for each kind of fault."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        for kind, by in run["samples"].items():
            for what, told in by.items():
                times[kind, what] += told
    lines = ["| fault | until | n | p50 | p99 | max | target |", "|---|---|---|---|---|---|---|"]
    for (kind, what), told in sorted(times.items()):
        s = summary(told, kind, what)
        target = f"{s['target']:g} s" if "target" in s else ""
        lines.append(f"| {kind} | {WORDS[what]} | {s['n']} | {s['p50']:.2f} s | {s['p99']:.2f} s | {s['max']:.2f} s | {target} |")
    return "\n".join(lines)


def _number(told: Any) -> int:
    return sum(told.values()) if isinstance(told, dict) else int(told)


if __name__ == "__main__":
    told = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    more = [_table(told, dict(zip(names, names, strict=True))) for names in (OUTCOMES, WIRES)]
    print(by_server(told), *more, by_fault(told), sep="\n\n")
