"""Counts the Python frames on the path of every task; and, asked for it, what `import hotqueue` costs.

python -m bench.frames [--source DIR] [--url URL] [--imports [N]] [--list NAME] [--json]

Nothing is timed but imports, so that figures are the same on any machine. A frame is a call of a Python function of hotqueue's,
or one resumption of a generator, as `sys.setprofile` sees it in the thread that does the work; a comprehension is none, as from
Python 3.12 on. A file is one in which a frame was entered. Frames of others (redis-py, the standard library, the constructors of
dataclasses and named tuples, which have no file) and calls of C functions are counted apart. Each figure is the median of
several calls that are warm.

- delay: `task.delay(1)`, of a task that takes a number.
- task: from the start of one task to the start of the next of its batch, in the worker's thread: deciding the one and beginning
  the other, without the task's own function.
- task, in all: the mean of a thousand, with fetching and settling them. Batches go by time: it varies by a frame or two.
- get, ended: `result.get(timeout=10)` of a task that has ended, which this process does not know yet.
- get, waiting: the same of a task that ends while it waits.

`--source` is another checkout: both are counted by this script, each in processes of its own, by public names alone. Ratios are
this tree's figure to the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, median_low
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WARM, TIMES, TASKS = 100, 31, 1000
HELD = 0.05  # seconds that a task takes which is waited for: longer than it takes to ask for its result
FIGURES = ("frames", "files", "others' frames", "C calls")
KINDS = ("delay", "task", "get, ended", "get, waiting")
IMPORTS = {
    "import hotqueue": "import hotqueue",
    "import hotqueue.tasks": "import hotqueue.tasks",
    "import HotQueue": "from hotqueue import HotQueue",
    "define a task": "from hotqueue import HotQueue; HotQueue('frames', url='redis://127.0.0.1').task(print, name='work')",
}
IMPORTING = """
import json, sys, time
before, began = set(sys.modules), time.process_time()
{statement}
took, new = time.process_time() - began, set(sys.modules) - before
print(json.dumps([len(new), len([name for name in new if name.partition('.')[0] == 'hotqueue']), took * 1000]))
"""

Figures = dict[str, float]


Entered = tuple[list[CodeType], int]  # the functions, in order, and how many calls of C functions


class Count:
    """What one thread has called so far."""

    def __init__(self) -> None:
        self.entered: list[CodeType] = []
        self.c_calls = 0

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> None:
        """Take an event of `sys.setprofile`."""
        if event == "c_call":
            self.c_calls += 1
        elif event == "call" and not frame.f_code.co_name.endswith("comp>"):
            self.entered.append(frame.f_code)

    def take(self, last: int = 0) -> Entered:
        """Return what was called since the last time, without the frames that were entered last."""
        found = self.entered[: len(self.entered) - last], self.c_calls
        self.entered, self.c_calls = [], 0
        return found


# --- in a process of the tree that is counted ------------------------------------------------------------------------

worker = Count()
between: list[Entered] = []  # what the worker called before the start of each task


def work(_number: int) -> None:
    """Note what the worker has called since the last start."""
    between.append(worker.take(last=1))


def hold(_number: int) -> None:
    """Be waited for."""
    time.sleep(HELD)


def probe(url: str | None, listed: str | None) -> None:
    """Print the figures of the hotqueue that is imported here, or what one call enters."""
    import hotqueue

    assert hotqueue.__file__ is not None
    package = str(Path(hotqueue.__file__).parent) + os.sep
    with tempfile.TemporaryDirectory(prefix="hotqueue-") as folder:
        where = {"url": url} if url else {"dbfilename": f"{folder}/frames.rdb"}
        queue = hotqueue.HotQueue(f"frames-{os.getpid()}", **where)
        found = _count(queue)
        queue.close()
    if listed is None:
        figures = {name: _medians([_figures(one, package) for one in several]) for name, several in found.items()}
        figures["task, in all"] = _mean(found["task"], package)
        print(json.dumps({name: figures[name] for name in (*KINDS, "task, in all")}))
        return
    for code in sorted(found[listed], key=lambda one: len(one[0]))[len(found[listed]) // 2][0]:
        print(f"{code.co_filename.removeprefix(package)}: {code.co_qualname}")


def _figures(called: Entered, package: str) -> Figures:
    entered, c_calls = called
    ours = [code.co_filename for code in entered if code.co_filename.startswith(package)]
    return dict(zip(FIGURES, (len(ours), len(set(ours)), len(entered) - len(ours), c_calls), strict=True))


def _medians(several: list[Figures]) -> Figures:
    return {name: median_low([one[name] for one in several]) for name in FIGURES}


def _mean(several: list[Entered], package: str) -> Figures:
    """Return the mean of each figure, and the files of all."""
    whole = _figures(([code for entered, _ in several for code in entered], sum(c_calls for _, c_calls in several)), package)
    return {name: value if name == "files" else round(value / len(several), 1) for name, value in whole.items()}


def _count(queue: Any) -> dict[str, list[Entered]]:
    """Return what was called, several times of each kind."""
    task = queue.task(work, result_expires=60)
    results = [task.delay(1) for _ in range(WARM)]
    delays = [_counted(lambda: results.append(task.delay(1))) for _ in range(TIMES)]
    task.map(range(TASKS))
    _work_all(queue)
    for result in results[:WARM]:
        result.get()
    ended = [_counted(lambda result=result: result.get(timeout=10)) for result in results[WARM:]]
    return {"delay": delays, "task": between[WARM:], "get, ended": ended, "get, waiting": _waiting(queue)}


def _counted(call: Callable[[], object]) -> Entered:
    """Count what a call enters, in this thread."""
    count = Count()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    entered, c_calls = count.take()
    return entered[1:], c_calls - 1  # `call` itself, and the line that ends the counting


def _work_all(queue: Any) -> None:
    """Run what is in the queue, in this thread."""
    sys.setprofile(worker)
    try:
        queue.run_worker(burst=True)
    finally:
        sys.setprofile(None)


def _waiting(queue: Any) -> list[Entered]:
    """Wait for tasks that a worker in another thread runs."""
    task = queue.task(hold, result_expires=60)
    thread = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 2 * TIMES})
    thread.start()
    results = (task.delay(1) for _ in range(2 * TIMES))
    found = [_counted(lambda result=result: result.get(timeout=10)) for result in results]
    thread.join()
    return found[TIMES:]


# --- the driver --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Count what the command line says."""
    parser = argparse.ArgumentParser(description="Count the frames on the path of every task.")
    parser.add_argument("--source", type=Path, help="another checkout, to compare with")
    parser.add_argument("--url", help="a server with nothing else to do, instead of an embedded one")
    parser.add_argument(
        "--imports", type=int, nargs="?", const=15, metavar="N", help="what imports cost: N runs of each, in turns"
    )
    parser.add_argument("--list", choices=KINDS, help="name the frames of one, in order")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    trees = [ROOT] if given.source is None else [ROOT, given.source.resolve()]
    said = [_python(tree, f"import frames; frames.probe({given.url!r}, {given.list!r})") for tree in trees]
    if given.list is not None:
        print(*said, sep="\n\n", end="")
        return
    found: dict[str, list[Figures]] = _across([json.loads(text) for text in said])
    if given.imports:
        found |= _across(_imports(trees, given.imports))
    print(json.dumps({"trees": [str(tree) for tree in trees], "figures": found}, indent=1) if given.json else _table(found))


def _python(tree: Path, program: str) -> str:
    """Run a program with the hotqueue of a checkout, and this file; return what it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), str(Path(__file__).parent)]), "PYTHONHASHSEED": "0"}
    return subprocess.run([sys.executable, "-P", "-c", program], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def _imports(trees: list[Path], times: int) -> list[dict[str, Figures]]:
    """Return how many modules each statement loads, and its CPU time, of each tree."""
    taken: list[dict[str, list[list[float]]]] = [{name: [] for name in IMPORTS} for _ in trees]
    for _ in range(times):
        for name, statement in IMPORTS.items():
            for tree, into in zip(trees, taken, strict=True):
                into[name].append(json.loads(_python(tree, IMPORTING.format(statement=statement))))
    headings = ("modules", "of hotqueue", "CPU ms")
    return [
        {name: {key: median(one[at] for one in runs) for at, key in enumerate(headings)} for name, runs in into.items()}
        for into in taken
    ]


def _across(trees: list[dict[str, Figures]]) -> dict[str, list[Figures]]:
    return {name: [tree[name] for tree in trees] for name in trees[0]}


def _table(found: dict[str, list[Figures]]) -> str:
    """Return a line for each figure: of this tree, and beside it the other tree's and the ratio."""
    lines = []
    for name, trees in found.items():
        for key in trees[0]:
            values = [tree[key] for tree in trees]
            cells = [f"{value:g}" if value == int(value) else f"{value:.1f}" for value in values]
            if len(values) == 2:
                cells.append(f"×{values[0] / values[1]:.2f}" if values[1] else "")
            lines.append(f"{name:22}{key:14}" + "".join(f"{cell:>8}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
