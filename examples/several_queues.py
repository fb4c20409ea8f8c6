"""One load on several queues, for when it is more than one server carries. Run it with ``python several_queues.py``.

On a Redis Cluster each of the queues is on the node that its name leads to. What has to stay in order, here the clicks on one
page, goes to one queue; nobody has to remember which: the page says it.
"""

import subprocess
import sys
from pathlib import Path
from zlib import crc32

from hotqueue import HotQueue

queue = HotQueue("clicks")  # the tasks are defined here, and every call says to which queue it goes
NAMES = [f"clicks-{number}" for number in range(8)]
HERE = Path(__file__).parent
WORKER = Path(sys.executable).with_name("hotqueue-worker")


def queue_of(page: str) -> str:
    """Return the name of the queue for a page: always the same, in every program, as long as NAMES is the same."""
    return NAMES[crc32(page.encode()) % len(NAMES)]


@queue.task
def count(page: str, visitor: int) -> str:
    """Note a click."""
    return f"{visitor} saw {page}"


def waiting() -> dict[str, int]:
    """Return how many tasks wait in each queue: what one queue is asked, all are."""
    return {name: HotQueue(name).pending() for name in NAMES}


def main() -> None:
    """Send clicks, look at where they wait, have one worker serve all queues, read one result as another program would."""
    pages = [f"/page/{number}" for number in range(100)]
    with queue.batch():  # one trip for each queue
        results = [count.apply_async((page, visitor), queue=queue_of(page)) for page in pages for visitor in range(4)]
    print("waiting:", sorted(waiting().values()))
    subprocess.run([WORKER, "several_queues", "-Q", ",".join(NAMES), "--burst", "--quiet"], cwd=HERE, check=True)
    print("ended:", sum(result.get(timeout=10) != "" for result in results), "waiting:", sum(waiting().values()))
    elsewhere = HotQueue(queue_of("/page/7")).result(results[7 * 4].id)
    print(elsewhere.get(timeout=10))


if __name__ == "__main__":
    main()
