"""How many run at a time, over all workers: of a task, or of each tenant. Run it with ``python limits.py``."""

import subprocess
import sys
import time
from pathlib import Path

from hotqueue import HotQueue

queue = HotQueue("limits")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")
Span = tuple[float, float]  # when a run began and ended


@queue.task(max_concurrency=3)
def mail(_address: str) -> Span:
    """Be gentle to the mail server: three at a time, however many workers there are."""
    began = time.time()
    time.sleep(0.05)
    return began, time.time()


@queue.task(max_concurrency=1, concurrency_key="tenant-{tenant}")
def export(tenant: str, _month: int) -> Span:
    """Export one thing at a time for each tenant; tenants do not wait for each other."""
    began = time.time()
    time.sleep(0.05)
    return began, time.time()


def most_at_once(spans: list[Span]) -> int:
    """Return how many of these went on at the same time at most."""
    return max(sum(began <= start < ended for began, ended in spans) for start, _ in spans)


def main() -> None:
    """Send calls, have eight processes run them, print how many ran side by side."""
    exports = {tenant: [export.delay(tenant, month) for month in range(4)] for tenant in ("acme", "ajax", "apex")}
    mails = [mail.delay(f"user{n}@example.org") for n in range(20)]
    subprocess.run([WORKER, "limits", "--burst", "--quiet", "--processes", "8"], cwd=HERE, check=True)
    most = max(most_at_once([result.get(timeout=10) for result in results]) for results in exports.values())
    print(f"exports: {sum(map(len, exports.values()))}, of each tenant at most {most} at a time")
    print(f"mails: {len(mails)}, at most {most_at_once([result.get(timeout=10) for result in mails])} at a time")


if __name__ == "__main__":
    main()
