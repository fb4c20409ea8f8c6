"""``python -m tests.chaos.merged FILE...``: the figures of several runs' --json files together, as tables for the docs."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.chaos.report import WORDS, summary

COUNTS = {
    "acknowledged": "acknowledged",
    "faults": "faults",
    "lost": "lost",
    "lost at a failover": "lost at a failover",
    "lost by a server killed while its disk lagged": "lost by a server killed while its disk lagged",
    "recorded twice": "recorded twice",
    "unexpected": "unexpected",
    "doubled": "doubled",
    "duplicated": "started once more",
    "in flight at deaths": "in flight at deaths",
}


def by_server(runs: list[dict[str, Any]]) -> str:
    """Return a row of counts for each kind of server."""
    lines = ["| server | runs | " + " | ".join(COUNTS.values()) + " |", "|---" * (len(COUNTS) + 2) + "|"]
    for server in sorted({run["server"] for run in runs}):
        these = [run for run in runs if run["server"] == server]
        told = [sum(_number(run[what]) for run in these) for what in COUNTS]
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
    print(by_server(told), by_fault(told), sep="\n\n")
