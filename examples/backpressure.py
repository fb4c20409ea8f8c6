"""A program that is faster than the workers, and has none of their code. Run it with ``python backpressure.py``."""

import subprocess
import sys
import time
from pathlib import Path

from hotqueue import HotQueue, QueueFull

queue = HotQueue("backpressure")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task(name="images.resize")
def resize(width: int) -> int:
    """Take a while."""
    time.sleep(0.005)
    return width // 2


def refused() -> int:
    """Send calls by name until there is no room; return how many there was room for. No worker runs yet."""
    front = HotQueue("backpressure", max_waiting=20)
    for n in range(1000):
        try:
            front.send("images.resize", (n,))
        except QueueFull:
            return n
    return 1000


def waited(calls: int) -> tuple[int, int]:
    """Send so many calls, each as soon as there is room; return what came of them, and how many waited at most."""
    patient = HotQueue("backpressure", max_waiting=20, enqueue_timeout=30)
    results, most = [], 0
    for n in range(calls):
        results.append(patient.send("images.resize", (n,)))
        most = max(most, queue.pending())
    return sum(result.get(timeout=30) for result in results), most


def main() -> None:
    """Send more than may wait: first without a worker, then beside one."""
    print("room for", refused(), "calls while no worker runs")
    worker = subprocess.Popen([WORKER, "backpressure", "--quiet", "--processes", "2"], cwd=HERE)
    made, most = waited(200)
    print("200 more as room came:", made, "and never more than 20 waited:", most <= 20)
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    main()
