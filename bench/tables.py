"""Writes the tables of a results file into the documentation, between markers: the figures, and what they say of capacity.

python -m bench.tables [RESULTS.json] [--into docs/performance.md]
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from statistics import median
from typing import Any

from bench import report
from bench.run import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
PLOTS = "plots"  # beside the page
HEADROOM = 0.7  # how busy a server should be at most
RATE, CPU_MS, KEPT_HOURS = 1_000, 20, 1  # of the example: tasks a second, CPU of each in ms, for how long results are kept


def main() -> None:
    """Write what the command line says."""
    parser = argparse.ArgumentParser(description="Write the tables into the documentation.")
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS / "suite.json")
    parser.add_argument("--into", type=Path, default=PAGE)
    given = parser.parse_args()
    told = json.loads(given.results.read_text())
    text = given.into.read_text()
    for name, made in (("figures", figures(told, given.into.parent)), ("capacity", capacity(told))):
        text = _between(text, name, made)
    given.into.write_text(text)


def _between(text: str, name: str, made: str) -> str:
    start, end = f"<!-- made by bench/tables.py, {name}: do not edit -->", f"<!-- end of {name} -->"
    if start not in text or end not in text:
        raise SystemExit(f"bench: there is no {start} … {end}")
    return re.sub(re.escape(start) + ".*?" + re.escape(end), lambda _: f"{start}\n\n{made}\n\n{end}", text, flags=re.DOTALL)


def figures(told: dict[str, Any], folder: Path) -> str:
    """Return all tables, with the plots that there are."""
    titles = {"throughput": "throughput", "latency": "latency", "work": "work and its cost", "growth": "growth"}
    plots = [f"![{title}]({PLOTS}/{name}.svg)" for name, title in titles.items() if (folder / PLOTS / f"{name}.svg").exists()]
    return "\n\n".join([*plots, report.markdown(told)])


def capacity(told: dict[str, Any]) -> str:
    """Return what hotqueue's costs allow, and an example of reckoning with them."""
    rows = told["values"].get("redis-server", {}).get(report.OURS, {})
    cost = {name: median(known) for name, values in rows.items() if (known := [v for v in values if v is not None])}
    needed = (
        *("one_cpu", "one_redis_cpu", "bulk_redis_cpu", "bulk_cpu", "drain_one_redis_cpu", "drain_one_cpu"),
        *("trip_redis_cpu", "trip_worker_cpu", "one_bytes", "drain_one_bytes", "deep_bytes", "drain_one_kept"),
    )
    if missing := [name for name in needed if name not in cost]:
        return f"(not measured: {', '.join(missing)})"
    return f"{_costs(cost)}\n\n{_example(cost)}"


def _costs(cost: dict[str, float]) -> str:
    single = cost["trip_redis_cpu"]
    batched, steady = cost["bulk_redis_cpu"] + cost["drain_one_redis_cpu"], cost["one_redis_cpu"] + cost["drain_one_redis_cpu"]

    def most(each: float) -> str:
        return f"{1e6 * HEADROOM / each:,.0f}"

    return report.grid(
        [
            [
                "what a task costs",
                "sent with `map`, run in batches",
                "sent with `delay`, run in batches",
                "one at a time, waited for",
            ],
            ["Redis CPU µs", report.short(batched), report.short(steady), report.short(single)],
            [
                "worker CPU µs, beside the task's own",
                *[report.short(cost["drain_one_cpu"])] * 2,
                report.short(cost["trip_worker_cpu"]),
            ],
            ["producer CPU µs", report.short(cost["bulk_cpu"]), report.short(cost["one_cpu"]), report.short(cost["one_cpu"])],
            [f"one Redis, {HEADROOM:.0%} busy: tasks/s", most(batched), most(steady), most(single)],
        ]
    )


def _example(cost: dict[str, float]) -> str:
    redis_low = RATE * (cost["one_redis_cpu"] + cost["drain_one_redis_cpu"]) / 1e4
    redis_high = RATE * cost["trip_redis_cpu"] / 1e4
    processes = RATE * (CPU_MS / 1e3 + cost["trip_worker_cpu"] / 1e6) / HEADROOM
    kept = RATE * KEPT_HOURS * 3600 * cost["drain_one_kept"] / 2**20
    network = RATE * (cost["one_bytes"] + cost["drain_one_bytes"]) * 8 / 1e6
    hour = RATE * 3600 * cost["deep_bytes"] / 2**20
    lines = [
        f"**Example.** {RATE:,} tasks a second, sent one at a time by web servers, {CPU_MS} ms of CPU each, small arguments,",
        f"results kept for {KEPT_HOURS} hour.",
        "",
        f"- Redis: {redis_low:.0f} % of a core while workers find batches, {redis_high:.0f} % when each task is fetched alone.",
        f"- Workers: {RATE:,} × ({CPU_MS} ms + {cost['trip_worker_cpu'] / 1e3:.2f} ms) ÷ {HEADROOM} = {processes:.0f} processes,",
        "  each on a core of its own.",
        f"- Network: {network:.1f} Mbit/s.",
        f"- Memory: {kept:,.0f} MiB of results; none with `ignore_result=True`. {hour:,.0f} MiB of waiting tasks, if all workers",
        "  stop for an hour. Add the bytes of arguments and values to both.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
