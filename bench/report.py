"""Figures of all rounds → medians, ratios within each round, a Markdown table and a JSON file."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.measures import FIGURES

OURS, FLOOR = "hotqueue", "floor"
RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = 8  # of a table, before it is cut

# server kind → contender → figure → one value a round (None: it gave none)
Values = dict[str, dict[str, dict[str, list[float | None]]]]


def short(value: float) -> str:
    """Return a number as a reader wants it."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: list[float]) -> str:
    """Return median (min–max)."""
    if not values:
        return "–"
    if len(values) == 1:
        return short(values[0])
    return f"{short(median(values))} ({short(min(values))}–{short(max(values))})"


def ratios(ours: list[float | None], theirs: list[list[float | None]], less_is_better: bool) -> list[float]:
    """Return ours ÷ the best of theirs, round by round."""
    best_of = min if less_is_better else max
    found = []
    for n, mine in enumerate(ours):
        others = [each[n] for each in theirs if n < len(each)]
        known = [value for value in others if value]
        if mine is not None and known:
            found.append(mine / best_of(known))
    return found


def table(values: dict[str, dict[str, list[float | None]]], figures: list[str]) -> str:
    """Return one Markdown table: a row a contender, then what hotqueue is to the best peer and to the floor."""
    rows = [["", *(FIGURES[figure].title for figure in figures)]]
    for name, found in values.items():
        rows.append([name, *(spread([v for v in found.get(figure, []) if v is not None]) for figure in figures)])
    peers = [name for name in values if name not in (OURS, FLOOR)]
    for title, others in (("hotqueue ÷ best peer", peers), ("hotqueue ÷ floor", [FLOOR])):
        others = [name for name in others if name in values]
        if OURS in values and others:
            rows.append([title, *(_ratio(values, figure, others) for figure in figures)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _ratio(values: dict[str, dict[str, list[float | None]]], figure: str, others: list[str]) -> str:
    theirs = [values[name].get(figure, []) for name in others]
    found = ratios(values[OURS].get(figure, []), theirs, FIGURES[figure].less_is_better)
    return f"**{spread(found)}**" if found else "–"


def markdown(told: dict[str, Any]) -> str:
    """Return the whole report."""
    lines = [f"{told['when']}; {told['machine']}; {told['rounds']} rounds, {told['seconds']:.0f} s.", ""]
    for kind, values in told["values"].items():
        figures = [figure for figure in FIGURES if any(figure in found for found in values.values())]
        lines += [f"### On {told['servers'][kind]} ({kind})", ""]
        for start in range(0, len(figures), COLUMNS):
            lines += [table(values, figures[start : start + COLUMNS]), ""]
    lines += [
        "Medians (min–max); ratios are taken within each round. Only ratios travel to other machines.",
        "",
        "Versions and commands:",
        "",
    ]
    for name, found in told["contenders"].items():
        packages = " ".join(f"{package}=={version}" for package, version in found["versions"].items() if version != "-")
        lines.append(f"- {name}: {packages}")
        lines += [f"  - {kind}: `{command}`" for kind, command in found["commands"].items()]
    return "\n".join([*lines, *(f"- note: {note}" for note in told["notes"])])


def machine() -> str:
    """Return what this ran on."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpus} CPUs ({model}), Python {platform.python_version()}, {platform.system()} {platform.release()}"


def write(name: str, told: dict[str, Any]) -> Path:
    """Write the JSON file and its table beside it; return the path of the JSON file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(told, indent=1))
    path.with_suffix(".md").write_text(markdown(told) + "\n")
    return path
