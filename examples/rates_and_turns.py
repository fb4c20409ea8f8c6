"""How many start in a while, and whose turn it is. Run it with ``python rates_and_turns.py``."""

import subprocess
import sys
import time
from pathlib import Path

from hotqueue import HotQueue

queue = HotQueue("rates-and-turns")
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


@queue.task(rate_limit="20/s")
def call_api(_number: int) -> float:
    """Call somebody who takes twenty calls a second, in any second."""
    return time.time()


@queue.task(fair_key="tenant-{tenant}")
def export(tenant: str, _month: int) -> tuple[float, str]:
    """Export something; tenants take turns, however much each of them sends."""
    return time.time(), tenant


def most_in_a_second(starts: list[float]) -> int:
    """Return how many of these were in any one second at most."""
    return max(sum(0 <= other - start < 1 for other in starts) for start in starts)


def main() -> None:
    """Send calls, have four processes run them, print what came first."""
    exports = [export.delay("acme", month) for month in range(200)]
    exports += [export.delay("ajax", month) for month in range(5)]
    calls = [call_api.delay(number) for number in range(50)]
    subprocess.run([WORKER, "rates_and_turns", "--burst", "--quiet", "--processes", "4"], cwd=HERE, check=True)
    order = [tenant for _, tenant in sorted(result.get(timeout=10) for result in exports)]
    last = len(order) - 1 - order[::-1].index("ajax")
    print(f"exports: {len(order)}, of ajax the last is among the first 100: {last < 100}")
    most = most_in_a_second([result.get(timeout=10) for result in calls])
    print(f"calls: {len(calls)}, never more than 20 in a second: {most <= 20}")


if __name__ == "__main__":
    main()
