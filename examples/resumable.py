"""A task that goes on where it was when its process is killed. Run it with ``python resumable.py``."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hotqueue import HotQueue
from hotqueue.tasks import current_task

queue = HotQueue("resumable")
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task
def add_up(numbers: int) -> list[str]:
    """Add numbers up, slowly, and be killed on the way."""
    request, total = current_task.request, current_task.resumed or 0
    said = [f"run {request.deliveries} begins with a total of {total}"]
    for number in current_task.iterate(range(1, numbers + 1)):
        if number == 8 and request.deliveries == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory is short
        time.sleep(0.02)
        total += number
        current_task.checkpoint(total)
    return [*said, f"and ends with {total}"]


def main() -> None:
    """Send the task to a worker."""
    worker = subprocess.Popen([WORKER, "resumable", "--log-level", "error"], cwd=Path(__file__).parent)
    try:
        print("\n".join(add_up.delay(20).get(timeout=60)))
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
