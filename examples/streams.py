"""A task that yields: its items are read while it runs, by as many as like to, from any item on.

Run it: ``python examples/streams.py``. It starts the worker that it needs.
"""

import subprocess
import time

from hotqueue import HotQueue

queue = HotQueue("streams")


@queue.task
def countdown(start):
    for n in range(start, 0, -1):
        time.sleep(0.1)  # as if it took some work
        yield n
    return "lift-off"


if __name__ == "__main__":
    worker = subprocess.Popen(["hotqueue-worker", "streams", "-q"])
    try:
        result = countdown.delay(5)
        for n in result.stream(timeout=30):
            print(n)
        print(result.get(timeout=5))
        print("again, from the third item on:", list(result.stream(2)))
    finally:
        worker.terminate()
        worker.wait()
