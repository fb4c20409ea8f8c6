"""What becomes of errors: retries, a retry that the task asks for, the dead list. Run it with ``python retries.py``."""

import subprocess
import sys
from pathlib import Path

from hotqueue import HotQueue, Reject
from hotqueue.tasks import Task, current_task

queue = HotQueue("retries")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task(autoretry_for=(OSError,), max_retries=5, retry_backoff=0.05)
def fetch(fails: int) -> str:
    """Fail some times like a network, then work. Retried after 0.05 s at most, then 0.1 s, 0.2 s …"""
    if current_task.request.retries < fails:
        raise OSError("the network is down")
    return f"fetched after {fails} failures"


@queue.task(bind=True, max_retries=3)
def poll(self: Task, ready_after: int) -> str:
    """Ask for a retry oneself."""
    if self.request.retries < ready_after:
        self.retry(countdown=0.05)
    return f"ready at try {self.request.retries + 1}"


@queue.task(retries=5)
def ship(order: dict[str, str]) -> None:
    """Refuse what no retry can help."""
    if "address" not in order:
        raise Reject("an order without an address")


@queue.task
def divide(a: float, b: float) -> float:
    """Fail at once where b is 0: no retries were asked for."""
    return a / b


def main() -> None:
    """Send calls, have a worker run them, print how they ended."""
    queue.discard_dead(all=True)
    results = [fetch.delay(2), poll.delay(2), poll.delay(9), ship.delay({"item": "pen"}), divide.delay(1, 0)]
    subprocess.run([WORKER, "retries", "--burst", "--quiet"], cwd=HERE, check=True)
    for result in results:
        ended = result.get(timeout=10, propagate=False)  # an exception is returned, not raised
        print(f"{result.state}: {ended!r} after {result.retries} retries")
    print("dead:", sorted(dead.reason for dead in queue.dead()))
    print("thrown away:", queue.discard_dead(all=True))  # queue.retry_dead(all=True) would put them back into the queue


if __name__ == "__main__":
    main()
