"""Rounds of measures over contenders, interleaved: what the entry scripts call."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import report, servers
from bench.field import Bench, Contender
from bench.measures import Measure


def options(about: str, contenders: Sequence[str], kinds: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("-c", "--contenders", default=",".join(contenders), help="comma-separated (default: %(default)s)")
    parser.add_argument("-s", "--servers", default=",".join(kinds), help="comma-separated (default: %(default)s)")
    parser.add_argument("-k", "--only", default="", help="names of measures, comma-separated (default: all)")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which no other round is begun")
    return parser.parse_args()


def main(name: str, measures: Sequence[Measure], contenders: Sequence[str], kinds: Sequence[str] = servers.KINDS) -> None:
    """Run measures as the command line says; print the table and write the results."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    given = options(f"Measure {name} of hotqueue and others.", contenders, kinds)
    field = [Contender(each if each == "floor" else f"{each}_") for each in given.contenders.split(",")]
    wanted = [each for each in measures if not given.only or each.__name__ in given.only.split(",")]
    told = Run(field, wanted, given.servers.split(",")).rounds(given.rounds, given.limit)
    print(report.markdown(told))
    print(f"\nwritten to {report.write(name, told)}", file=sys.stderr)


class Run:
    """One run: every contender takes its turn at every measure, on every server, in every round."""

    def __init__(self, field: list[Contender], measures: list[Measure], kinds: list[str]) -> None:
        self.field, self.measures, self.kinds = field, measures, kinds
        self.values: report.Values = {kind: {each.name: {} for each in field} for kind in kinds}
        self.notes: list[str] = []

    def rounds(self, count: int, limit: float) -> dict[str, Any]:
        """Run; return everything there is to tell."""
        began, done = time.monotonic(), 0
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            grounds = {kind: stack.enter_context(servers.run(kind, folder / kind)) for kind in self.kinds}
            benches = [Bench(server, folder / kind) for kind, server in grounds.items()]
            about = self._about(benches[0])
            for bench in benches:
                _tape(bench)
            while done < count and (not done or (time.monotonic() - began) * (done + 1) / done < limit):
                self._round(benches, done)
                done += 1
            versions = {kind: server.version for kind, server in grounds.items()}
        return {
            "when": time.strftime("%Y-%m-%d %H:%M"),
            "machine": report.machine(),
            "rounds": done,
            "seconds": time.monotonic() - began,
            "servers": versions,
            "contenders": about,
            "values": self.values,
            "notes": self.notes,
        }

    def _round(self, benches: list[Bench], number: int) -> None:
        for measure in self.measures:
            for bench in benches:
                turns = self.field[number % len(self.field) :] + self.field[: number % len(self.field)]
                for contender in turns:
                    self._turn(bench, measure, contender, number)

    def _turn(self, bench: Bench, measure: Measure, contender: Contender, number: int) -> None:
        print(
            f"round {number + 1}: {measure.__name__} {contender.name} on {bench.server.kind}", end="", file=sys.stderr, flush=True
        )
        began = time.monotonic()
        try:
            figures = measure(bench, contender)
        except Exception as error:
            self.notes.append(f"{measure.__name__} of {contender.name}: {type(error).__name__}: {error}")
            figures = {}
        shown = " ".join(f"{name}={report.short(value)}" for name, value in figures.items())
        print(f" [{time.monotonic() - began:.1f} s] {shown}", file=sys.stderr, flush=True)
        kept = self.values[bench.server.kind][contender.name]
        for name, value in figures.items():
            row = kept.setdefault(name, [])
            row += [None] * (number - len(row)) + [value]
        self.notes += [note for note in bench.notes if note not in self.notes]
        bench.notes.clear()

    def _about(self, bench: Bench) -> dict[str, Any]:
        return {
            each.name: {
                "about": each.about,
                "versions": bench.produce(each, "versions", "noop", 0),
                "commands": each.workers,
            }
            for each in self.field
        }


def _tape(bench: Bench) -> None:
    """Record what hotqueue sends, for the floor to send again."""
    floor = Contender("floor")
    bench.clear(20_000)
    env = bench.env(floor, "throughput")
    subprocess.run([floor.bin / "python", "-m", "bench.contenders.floor", "record"], env=env, check=True, timeout=60)
