"""Draws the main measures of a results file, for the documentation.

python -m bench.plot [RESULTS.json] [--into docs/plots]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

from bench.report import FLOOR, ORDER, OURS, Rows, short
from bench.run import RESULTS, ROOT

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "hotqueue", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"})

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

COLOURS = {OURS: "#d1495b", FLOOR: "#c9c9c9"}
PEER = "#3c6e91"
PLACE = ROOT / "docs" / "plots"

# file → (figure, title); the one with the larger bar is not always the better one, so each title says which way
BARS = {
    "throughput": (
        ("one", "enqueue one at a time, calls/s (more is better)"),
        ("bulk", "enqueue in bulk, calls/s (more is better)"),
        ("drain_one", "drain, 1 process, tasks/s (more is better)"),
        ("drain_two", "drain, 2 processes, tasks/s (more is better)"),
        ("drain_threads8", "drain, 8 threads, tasks/s (more is better)"),
        ("drain_async", "drain, async, tasks/s (more is better)"),
    ),
    "latency": (
        ("p50", "call to value, p50 ms (less is better)"),
        ("p99", "call to value, p99 ms (less is better)"),
        ("loaded_p99", "the same under load, p99 ms (less is better)"),
        ("start", "command to first task, s (less is better)"),
    ),
    "work": (
        ("ten", "20,000 tasks, 10 workers, s (less is better)"),
        ("spin10", "10 ms tasks, 2 processes, % of ideal (more is better)"),
        ("drain_one_cpu", "worker CPU a task, µs (less is better)"),
        ("drain_one_redis_cpu", "Redis CPU a task, µs (less is better)"),
    ),
}
GROWTH = (("deep_one", "call"), ("deep_drain", "task run and told"))


def main() -> None:
    """Draw what the command line says."""
    parser = argparse.ArgumentParser(description="Draw the main measures.")
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS / "suite.json")
    parser.add_argument("--into", type=Path, default=PLACE)
    given = parser.parse_args()
    told = json.loads(given.results.read_text())
    for path in draw(told, given.into):
        print(path)


def draw(told: dict[str, Any], folder: Path) -> list[Path]:
    """Draw all plots that there are figures for; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: Rows = told["values"].get("redis-server", {})
    made = [_bars(rows, folder / f"{name}.svg", panels) for name, panels in BARS.items()]
    return [path for path in (*made, _growth(rows, folder / "growth.svg")) if path]


def _middle(rows: Rows, name: str, figure: str) -> list[float]:
    return [value for value in rows.get(name, {}).get(figure, []) if value is not None]


def _bars(rows: Rows, path: Path, panels: tuple[tuple[str, str], ...]) -> Path | None:
    panels = tuple(each for each in panels if any(each[0] in found for found in rows.values()))
    if not panels:
        return None
    across = 2
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(down, across, figsize=(10, 2.7 * down), squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, title) in zip(axes.flat, panels, strict=False):
        _panel(axis, rows, name, title)
    return _saved(figure, path)


def _panel(axis: Axes, rows: Rows, figure: str, title: str) -> None:
    names = [name for name in ORDER if _middle(rows, name, figure)]
    values = [_middle(rows, name, figure) for name in names]
    middles = [median(each) for each in values]
    below = [middle - min(each) for middle, each in zip(middles, values, strict=True)]
    above = [max(each) - middle for middle, each in zip(middles, values, strict=True)]
    colours = [COLOURS.get(name, PEER) for name in names]
    axis.barh(names, middles, color=colours, xerr=[below, above], error_kw={"linewidth": 0.8, "ecolor": "#333333"})
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=9)
    axis.set_xlim(0, 1.18 * max(max(each) for each in values))
    for n, middle in enumerate(middles):
        axis.annotate(short(middle), (middle + above[n], n), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(length=0)
    axis.locator_params(axis="x", nbins=5)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}")


def _growth(rows: Rows, path: Path) -> Path | None:
    names = [name for name in (OURS, FLOOR) if _middle(rows, name, "deep_one")]
    if not names:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(10, 2.9), layout="constrained")
    for axis, (what, title) in zip(axes, GROWTH, strict=True):
        for name in names:
            powers = [power for power in range(3, 7) if _middle(rows, name, f"{what}_{power}")]
            costs = [median(_middle(rows, name, f"{what}_{power}")) for power in powers]
            axis.plot([10**power for power in powers], costs, marker="o", color=COLOURS[name], label=name)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_title(f"µs a {title}, by number of waiting tasks (flat is better)", loc="left", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")  # what a whitespace check wants
    return path


if __name__ == "__main__":
    main()
