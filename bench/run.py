"""Rounds of measures over contenders, interleaved; every turn is kept as soon as it is over.

A turn is one contender at one measure on one server in one round. Turns that a results file has already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report, servers
from bench.field import ROOT, Bench, Contender
from bench.measures import Measure

RESULTS = Path(__file__).resolve().parent / "results"
UNFINISHED = 75  # exit code: run again to go on
QUICK_LIMIT = 200  # seconds


@dataclass(frozen=True)
class Part:
    """A measure, and who takes part in it.

    Attributes:
        field: contenders, on the redis-server.
        embedded: on the embedded server.
    """

    measure: Measure
    field: tuple[str, ...]
    embedded: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As it is called on the command line."""
        return self.measure.__name__


@dataclass(frozen=True)
class Turn:
    """See the head of this file."""

    number: int  # of the round
    part: Part
    kind: str
    contender: str

    @property
    def key(self) -> str:
        """Under which its rounds are counted."""
        return f"{self.kind} {self.part.name} {self.contender}"


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Measure hotqueue beside its peers and a bare redis-py loop.")
    parser.add_argument("--quick", action="store_true", help="the main figures beside the two fastest peers")
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("-k", "--only", default="", help="names of measures, comma-separated (default: all)")
    parser.add_argument("-c", "--contenders", default="", help="comma-separated (default: all)")
    parser.add_argument("-s", "--servers", default="", help="redis-server, embedded (default: both)")
    parser.add_argument("--limit", type=float, default=0, help="seconds after which nothing more is begun; run again to go on")
    parser.add_argument("--again", action="store_true", help="measure again what is chosen, and keep the rest")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: a short trial, whose figures mean nothing")
    parser.add_argument("--results", type=Path, help="the file to keep them in (default: bench/results/suite.json)")
    parser.add_argument("--list", action="store_true", help="say what would be measured")
    return parser.parse_args()


def main(everything: Sequence[Part], quick: Sequence[Part]) -> None:
    """Run what the command line says; print the tables."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: sys.exit(143))  # so that what was started is ended
    given = options()
    path = given.results or RESULTS / ("quick.json" if given.quick else "suite.json")
    parts = _chosen(quick if given.quick else everything, given)
    if given.list:
        for part in parts:
            print(
                f"{part.name:14} {', '.join(part.field)}" + (f"; embedded: {', '.join(part.embedded)}" if part.embedded else "")
            )
        return
    kept = Kept(path, given.scale, fresh=given.fresh or given.quick)
    if given.again:
        kept.forget(parts)
    limit = given.limit or (QUICK_LIMIT if given.quick else float("inf"))
    left = Run(kept, parts, given.rounds).go(limit)
    print(report.markdown(kept.told))
    print(f"\n{path}: {left or 'no'} turns left", file=sys.stderr)
    sys.exit(UNFINISHED if left and not given.quick else 0)


def _chosen(parts: Sequence[Part], given: argparse.Namespace) -> list[Part]:
    names = {part.name for part in parts}
    wanted = set(filter(None, given.only.split(","))) or names
    if unknown := wanted - names:
        raise SystemExit(f"bench: there is no measure {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    contenders = set(filter(None, given.contenders.split(",")))
    kinds = given.servers or ",".join(servers.KINDS)

    def some(field: tuple[str, ...], kind: str) -> tuple[str, ...]:
        return tuple(each for each in field if kind in kinds.split(",") and (not contenders or each in contenders))

    chosen = [Part(each.measure, some(each.field, "redis-server"), some(each.embedded, "embedded")) for each in parts]
    return [part for part in chosen if part.name in wanted and (part.field or part.embedded)]


class Kept:
    """The results file.

    Attributes:
        told: what is in it.
    """

    def __init__(self, path: Path, scale: float, fresh: bool) -> None:
        self.path = path
        self.told: dict[str, Any] = {
            "machine": report.machine(),
            "scale": scale,
            "runs": [],
            "servers": {},
            "contenders": {},
            "turns": {},
            "sizes": {},
            "values": {},
            "notes": [],
        }
        if path.exists() and not fresh:
            before = json.loads(path.read_text())
            for what in ("machine", "scale"):
                if before[what] != self.told[what]:
                    raise SystemExit(f"bench: {path} was measured with another {what} ({before[what]}); --fresh begins anew")
            self.told = before

    def save(self) -> None:
        """Write it, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self.told, indent=1))
        draft.replace(self.path)

    def met(self, about: dict[str, Any]) -> None:
        """Note who takes part; refuse versions other than those of what is there."""
        for name, found in about.items():
            before = self.told["contenders"].setdefault(name, found)
            if before["versions"] != found["versions"]:
                raise SystemExit(f"bench: {name} was {before['versions']} and is {found['versions']}; --fresh begins anew")
            before.update(found)

    def is_due(self, turn: Turn) -> bool:
        """Tell whether a turn is still to be taken."""
        return int(self.told["turns"].get(turn.key, 0)) <= turn.number

    def keep(self, turn: Turn, figures: dict[str, float], notes: list[str]) -> None:
        """Keep what a turn gave."""
        row = self.told["values"].setdefault(turn.kind, {}).setdefault(turn.contender, {})
        for name, value in figures.items():
            if name in report.FIGURES:
                values = row.setdefault(name, [])
                values += [None] * (turn.number - len(values)) + [value]
        self.told["turns"][turn.key] = turn.number + 1
        self.told["notes"] += [note for note in notes if note not in self.told["notes"]]
        self.told["measures"] = {**self.told.get("measures", {}), turn.part.name: sorted({*figures, *self._of(turn.part.name)})}

    def _of(self, measure: str) -> list[str]:
        return list(self.told.get("measures", {}).get(measure, []))

    def forget(self, parts: Sequence[Part]) -> None:
        """Take out what these parts gave."""
        for part in parts:
            for kind, names in (("redis-server", part.field), ("embedded", part.embedded)):
                for name in names:
                    self.told["turns"].pop(f"{kind} {part.name} {name}", None)
                    row = self.told["values"].get(kind, {}).get(name, {})
                    for figure in self._of(part.name):
                        row.pop(figure, None)


class Run:
    """One run: every contender takes its turn at every measure, on every server, in every round."""

    def __init__(self, kept: Kept, parts: Sequence[Part], rounds: int) -> None:
        self.kept, self.parts = kept, parts
        self.turns = [turn for turn in _turns(parts, rounds) if kept.is_due(turn)]
        names = dict.fromkeys(turn.contender for turn in self.turns)
        self.field = {
            name: Contender({"floor": name, "hotqueue-plain": "hotqueue_plain"}.get(name, f"{name}_")) for name in names
        }

    def go(self, limit: float) -> int:
        """Take turns until the limit; return how many are left."""
        for name, each in list(self.field.items()):
            try:
                each.prepare()
            except RuntimeError as error:  # a Python that is not here
                self._leave_out(name, str(error))
        began = time.monotonic()
        session = {"when": time.strftime("%Y-%m-%d %H:%M"), "commit": _commit(), "seconds": 0.0, "load": os.getloadavg()[0]}
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            grounds = {kind: stack.enter_context(servers.run(kind, folder / kind)) for kind in servers.KINDS}
            told = self.kept.told
            benches = {
                kind: Bench(server, folder / kind, told["scale"], told["sizes"].setdefault(kind, {}))
                for kind, server in grounds.items()
            }
            told["servers"] |= {kind: server.version for kind, server in grounds.items()}
            self.kept.met(self._about(benches["redis-server"]))
            for bench in benches.values():
                _tape(bench)
            told["runs"].append(session)
            for done, turn in enumerate(self.turns):
                if time.monotonic() - began > limit:
                    return len(self.turns) - done
                self._take(turn, benches[turn.kind])
                session["seconds"] = round(time.monotonic() - began, 1)
                self.kept.save()
        return 0

    def _leave_out(self, name: str, why: str) -> None:
        print(f"{name} takes no part: {why}", file=sys.stderr)
        self.kept.told["notes"].append(f"{name} took no part: {why}")
        self.turns = [turn for turn in self.turns if turn.contender != name]
        del self.field[name]

    def _take(self, turn: Turn, bench: Bench) -> None:
        print(f"{turn.number + 1}: {turn.part.name} {turn.contender} on {turn.kind}", end="", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            contender = self.field[turn.contender]
            figures = turn.part.measure(bench, contender)
            if contender.has_own_store:
                figures = {name: value for name, value in figures.items() if name not in report.OF_THE_SERVER}
        except Exception as error:
            bench.note(f"{turn.part.name} of {turn.contender}: {type(error).__name__}: {error}")
            figures = {}
        shown = " ".join(f"{name}={report.short(value)}" for name, value in figures.items() if name in report.FIGURES)
        print(f" [{time.monotonic() - began:.1f} s] {shown}", file=sys.stderr, flush=True)
        for note in bench.notes:
            print(f"  ! {note}", file=sys.stderr, flush=True)
        self.kept.keep(turn, figures, bench.notes)
        bench.notes.clear()

    def _about(self, bench: Bench) -> dict[str, Any]:
        return {
            name: {
                "about": each.about,
                "versions": bench.produce(each, "versions", "noop", 0),
                "requirements": each.requirements,
                "commands": each.workers,
                "promises_not": each.promises_not,
            }
            for name, each in self.field.items()
        }


def _turns(parts: Sequence[Part], rounds: int) -> Iterator[Turn]:
    for number in range(rounds):
        for part in parts:
            for kind, field in (("redis-server", part.field), ("embedded", part.embedded)):
                first = number % len(field) if field else 0
                for contender in field[first:] + field[:first]:
                    yield Turn(number, part, kind, contender)


def _commit() -> str:
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, timeout=20)
    except OSError:
        return ""
    return done.stdout.strip()


def _tape(bench: Bench) -> None:
    """Record what hotqueue sends, for the floor to send again."""
    floor = Contender("floor")
    floor.prepare()
    bench.clear(20_000)
    env = bench.env(floor, "throughput")
    subprocess.run([floor.bin / "python", "-m", "bench.contenders.floor", "record"], env=env, check=True, timeout=60)
