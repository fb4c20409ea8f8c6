"""Figures of all rounds → medians, ratios within each round, Markdown tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import FAST, FIGURES, MAIN, TABLES, TARGETS, Target

OURS, FLOOR, PLAIN = "hotqueue", "floor", "hotqueue-plain"
ORDER = (OURS, "huey", "dramatiq", "celery", "rq", "taskiq", "arq", "saq", "streaq", "cauli", "ardiq", "taskito", FLOOR)

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
OF_THE_SERVER = {name for name in FIGURES if name.endswith(("_requests", "_commands", "_bytes", "redis_cpu", "_kept"))}

# contender → figure → one value a round (None: it gave none)
Rows = dict[str, dict[str, list[float | None]]]


def short(value: float) -> str:
    """Return a number as a reader wants it."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float | None]) -> str:
    """Return median (min–max)."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    low, middle, high = short(min(known)), short(median(known)), short(max(known))
    return middle if low == high else f"{middle} ({low}–{high})"


def ratios(ours: Sequence[float | None], theirs: Sequence[Sequence[float | None]], less_is_better: bool) -> list[float]:
    """Return ours ÷ the best of theirs, round by round."""
    best_of = min if less_is_better else max
    found = []
    for n, mine in enumerate(ours):
        known = [value for each in theirs for value in each[n : n + 1] if value]
        if mine is not None and known:
            found.append(mine / best_of(known))
    return found


def peers(rows: Rows) -> list[str]:
    """Return the contenders that are neither we nor the floor."""
    return [name for name in rows if name not in (OURS, FLOOR, PLAIN)]


def against(rows: Rows, figure: str, others: Sequence[str], ours: str = OURS) -> list[float]:
    """Return what hotqueue is to the best of others, round by round."""
    theirs = [rows[name].get(figure, []) for name in others if name in rows]
    return ratios(rows.get(ours, {}).get(figure, []), theirs, FIGURES[figure].less_is_better)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; its first row is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def table(rows: Rows, figures: Sequence[str], promises_not: Mapping[str, str] | None = None) -> str:
    """Return one table: a row a contender, then what hotqueue is to the best peer and to the floor.

    Args:
        promises_not: what a contender does not promise and hotqueue does; said below the table.
    """
    figures = [figure for figure in figures if any(figure in found for found in rows.values())]
    if not figures:
        return ""
    shown = [["", *(FIGURES[figure].title for figure in figures)]]
    notes: list[str] = []
    for name in ORDER:
        found = rows.get(name, {})
        if any(figure in found for figure in figures):
            if said := (promises_not or {}).get(name):
                mark = MARKS[len(notes)]
                notes.append(f"{mark} {name}: {said}.")
                name += mark
            shown.append([name, *(spread(found.get(figure, [])) for figure in figures)])
    for title, others in (("hotqueue ÷ best peer", peers(rows)), ("hotqueue ÷ floor", [FLOOR])):
        compared = [spread(against(rows, figure, others)) for figure in figures]
        if any(cell != "–" for cell in compared):
            shown.append([title, *("–" if cell == "–" else f"**{cell}**" for cell in compared)])
    below = " ".join(["Not promised, and promised by hotqueue.", *notes]) if notes else ""
    return "\n\n".join(part for part in (grid(shown), below) if part)


def compared(first: dict[str, Any], second: dict[str, Any], figures: Sequence[str], names: tuple[str, str]) -> str:
    """Return a table of two columns of figures, and their ratio."""
    shown = [["", *names, f"{names[0]} ÷ {names[1]}"]]
    for figure in figures:
        if first.get(figure) and second.get(figure):
            ratio = ratios(first[figure], [second[figure]], FIGURES[figure].less_is_better)
            shown.append([_full_title(figure), spread(first[figure]), spread(second[figure]), f"**{spread(ratio)}**"])
    return grid(shown) if len(shown) > 1 else ""


def _full_title(figure: str) -> str:
    title = FIGURES[figure].title
    return f"drain, {title}, tasks/s" if figure.startswith("drain") else title


def targets(rows: Rows) -> str:
    """Return what hotqueue is held to, and whether it gets there."""
    shown = [["measure", "target", "found", ""]]
    for each in TARGETS:
        found = reached(rows, each)
        if found:
            sign = "≤" if FIGURES[each.figure].less_is_better else "≥"
            shown.append([each.title, f"{sign} {each.bound:g}", spread(found), "" if meets(each, found) else "missed"])
    return grid(shown) if len(shown) > 1 else ""


def reached(rows: Rows, target: Target) -> list[float]:
    """Return a target's figure, round by round."""
    if target.than:
        return against(rows, target.figure, peers(rows) if target.than == "peer" else [FLOOR])
    return [value for value in rows.get(OURS, {}).get(target.figure, []) if value is not None]


def meets(target: Target, found: Sequence[float]) -> bool:
    """Tell whether the median is as good as the bound."""
    middle = median(found)
    return middle <= target.bound if FIGURES[target.figure].less_is_better else middle >= target.bound


def markdown(told: dict[str, Any]) -> str:
    """Return all tables, and how they came about."""
    rows, embedded = told["values"].get("redis-server", {}), told["values"].get("embedded", {})
    parts = [_when(told)]
    promises_not = {name: found.get("promises_not", "") for name, found in told["contenders"].items()}
    for each in TABLES:
        if made := table(rows, each.figures, promises_not):
            parts += [f"### {each.title}", each.about, made]
    names = (f"{told['servers'].get(kind, kind)}" for kind in ("embedded", "redis-server"))
    if made := compared(embedded.get(OURS, {}), rows.get(OURS, {}), MAIN, (f"embedded: {next(names)}", next(names))):
        parts += [
            "### The embedded server",
            "hotqueue on both, the embedded one over its socket and with its journal on disk.",
            made,
        ]
    if made := compared(rows.get(OURS, {}), rows.get(PLAIN, {}), FAST, ("with hiredis and uvloop", "without")):
        parts += ["### The [fast] extra", "", made]
    if made := targets(rows):
        parts += ["### What hotqueue is held to", "Medians of the ratios within each round.", made]
    return "\n\n".join(part for part in (*parts, *_notes(told), versions(told)) if part)


def _when(told: dict[str, Any]) -> str:
    runs = told["runs"]
    rounds = max(told["turns"].values(), default=0)
    warning = f"**A trial at scale {told['scale']:g}: these figures mean nothing.** " if told["scale"] != 1 else ""
    seconds = sum(run["seconds"] for run in runs)
    commits = ", ".join(dict.fromkeys(run["commit"] for run in runs if run["commit"]))
    servers = "; ".join(f"{version} ({kind})" for kind, version in told["servers"].items())
    return (
        f"{warning}{runs[0]['when'] if runs else ''}; {told['machine']}; {servers}; hotqueue {commits}; {rounds} rounds,"
        f" {seconds / 60:.0f} minutes. Medians (min–max); ratios are taken within each round, to the best peer of that round."
    )


def _notes(told: dict[str, Any]) -> list[str]:
    return ["\n".join(f"- {note}" for note in told["notes"])] if told["notes"] else []


def versions(told: dict[str, Any]) -> str:
    """Return the versions and commands of all contenders."""
    lines = []
    for name in (*ORDER, PLAIN):
        found = told["contenders"].get(name)
        if found:
            packages = " ".join(f"{package}=={version}" for package, version in found["versions"].items() if version != "-")
            lines.append(f"- **{name}**: {found['about'].rstrip('.')}. {packages}")
            lines += [f"    - {kind}: `{command}`" for kind, command in found["commands"].items()]
    return "\n".join(lines)


def machine() -> str:
    """Return what this runs on."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpus} CPUs ({model}), Python {platform.python_version()}, {platform.system()} {platform.release()}"
