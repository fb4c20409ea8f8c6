"""Measures three workflows beside other queues: a chain of ten, a group of a hundred, a chord of a hundred; ms until the value.

python -m bench.shapes [-c hotqueue,celery] [--trips 20] [--rounds 3]

One worker of one process each (its "one"), results on, a private redis-server; contenders take turns in every round. What one
cannot do is a dash: `SHAPES` of its file does not have it. A value that is wrong is an error.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from bench import servers
from bench.field import Bench, Contender

CONTENDERS = ("hotqueue", "celery", "dramatiq", "huey", "taskiq", "taskito")
SIZES = {"chain": 10, "group": 100, "chord": 100}
WARM = 3  # workflows before those that count


def turn(bench: Bench, contender: Contender, shape: str, trips: int) -> float | None:
    """Return the median of ms of a workflow; None where the contender has none of that shape."""
    bench.clear(1)
    with bench.workers(contender, "one", "shapes"):
        found = bench.produce(contender, "shape", shape, trips + WARM, "shapes", first=SIZES[shape])
    return statistics.median(found["ms"][WARM:]) if found["ms"] else None


def table(figures: dict[tuple[str, str], list[float | None]], names: list[str]) -> str:
    """Return the figures as a table, with hotqueue's ratio to the best of the others, of each round."""

    def cell(found: list[float]) -> str:
        return f"{statistics.median(found):.3g} ({min(found):.3g}–{max(found):.3g})" if found else "—"

    titles = [f"{shape} of {size}, ms" for shape, size in SIZES.items()]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name in names:
        cells = [cell([ms for ms in figures[name, shape] if ms is not None]) for shape in SIZES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    ratios = []
    for shape in SIZES:
        rounds = zip(*(figures[name, shape] for name in names), strict=True)
        found = [
            own / min(others) for own, *rest in rounds if own is not None and (others := [ms for ms in rest if ms is not None])
        ]
        ratios.append(f"**{cell(found)}**")
    return "\n".join([*lines, "| hotqueue ÷ best peer | " + " | ".join(ratios) + " |"])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-c", "--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--trips", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    names = ["hotqueue", *(name for name in options.contenders.split(",") if name != "hotqueue")]
    contenders = [Contender(f"{name}_") for name in names]
    for contender in contenders:
        contender.prepare()
    figures: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, servers.run("redis-server", Path(folder) / "server") as server:
        bench = Bench(server, Path(folder), 1.0, {})
        for _ in range(options.rounds):
            for shape in SIZES:
                for contender in contenders:
                    figures[contender.name, shape].append(turn(bench, contender, shape, options.trips))
    print(table(figures, names))


if __name__ == "__main__":
    main()
