"""``python -m tests.bystander``: a task every 50 ms on a healthy queue, while the same worker has some trouble elsewhere.

Each scene is run twice, on a worker of its own: without its trouble and with it. What counts is how much longer it takes until
a task starts, at the 99th percentile, and whether any started twice. Linux only; everything on loopback.

Exit code 0: every task started, and none twice; 1: something was not so. The times are for reading: they depend on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bystander.scenes import SCENES, Scene, is_possible
from tests.support import notes, processes
from tests.support.durations import let_pass
from tests.support.servers import LEASH
from tests.support.waiting import wait_until

INTERVAL = 0.05  # seconds
WARM = 20  # tasks before it counts


class Phase:
    """One worker, and the task that looks on sent to it at even intervals.

    Args:
        folder: for its notes and its log.
    """

    def __init__(self, scene: Scene, folder: Path, is_troubled: bool) -> None:
        self.scene, self.is_troubled = scene, is_troubled
        word = "troubled" if is_troubled else "calm"
        self.notes, self.log = folder / f"{word}-notes", folder / f"{word}-log"
        others = scene.others if is_troubled else scene.calm_others
        self.env = {
            "BYSTANDER_QUEUE": scene.name,
            "BYSTANDER_TROUBLE": scene.trouble,
            "BYSTANDER_URL": scene.url,
            "BYSTANDER_TROUBLE_URL": scene.trouble_url,
            "BYSTANDER_OTHERS": str(others),
            "BYSTANDER_NOTES": str(self.notes),
        }

    def run(self, seconds: float) -> dict[str, Any]:
        """Run it, and return the figures."""
        scene = self.scene
        with ExitStack() as ending:
            worker = self._start(scene.wrapper(self.is_troubled))
            ending.callback(_stop, worker)
            scene.worker, scene.tasks = worker.pid, self._tasks()
            scene.start_another = self._start
            ending.callback(scene.tasks.trouble.close)
            ending.callback(scene.tasks.queue.close)
            self._send(WARM).wait(60)
            wait_until(lambda: len(notes.read(self.notes)) >= WARM, 60, "the worker works")
            self.notes.write_text("")
            count = int(seconds / INTERVAL)
            family = self._accompany(self._send(count), worker.pid)
            wait_until(lambda: len({line[0] for line in notes.read(self.notes)}) >= count, 60, "every task starts")
        return _figures(notes.read(self.notes), count, family)

    def _accompany(self, sender: subprocess.Popen[bytes], worker: int) -> set[int]:
        """Make trouble while the sender sends; return the pids of the worker's processes."""
        family: set[int] = set()
        began = time.monotonic()
        try:
            if self.is_troubled:
                self.scene.begin()
            while sender.poll() is None:
                if self.is_troubled:
                    self.scene.go_on(time.monotonic() - began)
                family.update(processes.worker_processes(worker))
                let_pass(0.02)
        finally:
            sender.kill()
            if self.is_troubled:
                self.scene.end()
        return family

    def _tasks(self) -> Any:
        os.environ.update(self.env)
        from tests.bystander import tasks

        return importlib.reload(tasks)

    def _start(self, wrapper: list[str] | None = None) -> subprocess.Popen[bytes]:
        worker = [sys.executable, "-c", processes.command_code("hotqueue-worker"), "tests.bystander.tasks", *self.scene.options]
        command = [sys.executable, "-SE", "-c", LEASH, *(wrapper or []), *worker]
        with open(self.log, "a") as log:
            return subprocess.Popen(
                command, env=processes.environment(self.env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _send(self, count: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-SE", "-c", LEASH, sys.executable, "-m", "tests.bystander.sender", str(count), str(INTERVAL)]
        return subprocess.Popen(command, env=processes.environment(self.env), stdin=subprocess.DEVNULL)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(40)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _figures(lines: list[list[str]], count: int, family: set[int]) -> dict[str, Any]:
    """Return the figures of one phase; times in ms.

    Args:
        family: the pids of the worker that nothing was done to.
    """
    took: dict[str, float] = {}
    starts, here = Counter[str](), set[str]()
    for n, sent, started, pid in lines:
        took.setdefault(n, 1000 * (float(started) - float(sent)))
        starts[n] += 1
        if int(pid) in family:
            here.add(n)
    times = sorted(took.values())
    return {
        "tasks": len(times),
        "missing": count - len(times),
        "twice": sum(starts[n] > 1 for n in here),
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
        "max": times[-1],
    }


def _both(name: str, folder: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Run a scene without its trouble and with it."""
    with ExitStack() as servers:
        scene = SCENES[name](folder, servers)
        return {word: Phase(scene, folder, word == "troubled").run(seconds) for word in ("calm", "troubled")}


def _table(figures: dict[str, dict[str, dict[str, Any]]]) -> str:
    lines = ["| trouble | tasks | p50 | p99 | max | p99 ÷ p99 without | started twice |", "|---|---|---|---|---|---|---|"]
    for name, by in figures.items():
        calm, troubled = by["calm"], by["troubled"]
        pairs = " | ".join(f"{calm[each]:.1f} → {troubled[each]:.1f} ms" for each in ("p50", "p99", "max"))
        ratio = troubled["p99"] / calm["p99"]
        lines.append(f"| {name} | {troubled['tasks']} | {pairs} | {ratio:.1f} | {troubled['twice']} |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bystander", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase (30)")
    parser.add_argument("--only", default="", help=f"scenes, with commas between: {', '.join(SCENES)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it: servers' and workers' logs")
    args = parser.parse_args()
    unknown = [name for name in args.only.split(",") if name and name not in SCENES]
    if unknown:
        parser.error(f"no such scene: {unknown[0]!r}; they are {', '.join(SCENES)}")
    return args


def main() -> int:
    """Run the scenes and say how it went."""
    args = _arguments()
    chosen = [name for name in SCENES if not args.only or name in args.only.split(",")]
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    wrong: list[str] = []
    with ExitStack() as ending:
        folder = args.keep or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="hotqueue-bystander-")))
        for name in chosen:
            if not is_possible(SCENES[name]):
                print(f"{name}: left out, it takes root", flush=True)
                continue
            here = folder / name.replace(" ", "-")
            here.mkdir(parents=True, exist_ok=True)
            try:
                figures[name] = _both(name, here, args.seconds)
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
            else:
                print(name, json.dumps(figures[name]), flush=True)
    print(_table(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    wrong += [name for name, by in figures.items() if any(phase["missing"] or phase["twice"] for phase in by.values())]
    print("\n".join(f"WRONG  {name}" for name in wrong) or "held: every task started, and none twice")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
