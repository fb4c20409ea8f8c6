"""The tasks of the tests of hotqueue-worker: copied to a folder of each test as tasks.py."""

import os

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.durations import atake_time, take_time

queue = HotQueue(os.environ["QUEUE"], url=os.environ.get("STORE"))


def mark(name):
    """Leave a line in the test's file of marks, which survives whatever happens to this process."""
    with open(os.environ["MARKS"], "a") as file:
        file.write(f"{name} {os.getpid()}\n")


@queue.task
def square(n):
    return n * n


@queue.task
def pid():
    return os.getpid()


@queue.task
def nap(seconds):
    mark("nap")
    take_time(seconds)
    mark("woken")
    return os.getpid()


@queue.task
def neighbour(seconds):
    mark("neighbour")
    take_time(seconds)


@queue.task(time_limit=0.3)
def stuck():
    mark("stuck")
    take_time(60)


@queue.task(soft_time_limit=0.2)
def soft():
    take_time(60)


@queue.task(time_limit=0.3, retries=1, retry_backoff=False, default_retry_delay=0)
def stuck_once():
    mark("stuck_once")
    if current_task.request.retries == 0:
        take_time(60)
    return "second time"


@queue.task
async def inside(gathering=[0, 0]):  # noqa: B006
    """Return how many of these ran at once, at most."""
    gathering[0] += 1
    gathering[1] = max(gathering)
    await atake_time(0.2)
    gathering[0] -= 1
    return gathering[1]


@queue.task
def threads(seconds):
    mark("thread")
    take_time(seconds)


@queue.task
def grow():
    kept.append(bytearray(80 << 20))
    return os.getpid()


kept = []


@queue.task
def die_once():
    mark("die_once")
    if current_task.request.deliveries == 1:
        os._exit(3)
    return current_task.request.deliveries


@queue.task(retries=2, retry_backoff=0.05)
def flaky():
    if current_task.request.retries < 2:
        raise OSError("not yet")
    return "at last"


if __name__ == "__main__":
    print(square.name, square.delay(7).id, flush=True)
