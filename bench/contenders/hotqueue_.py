"""hotqueue as it comes, with its [fast] extra: results on, every guarantee on."""

import os

from bench import bodies
from hotqueue import HotQueue
from hotqueue.tasks import chain, chord, group

NAME = "hotqueue"
REQUIREMENTS = ("redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0", "cloudpickle==3.1.3", "--editable", "ROOT")
VERSIONS = ("hotqueue", "redis", "hiredis", "uvloop")
WORKERS = {
    "one": "hotqueue-worker bench.contenders.hotqueue_ -p 1 -q",
    "two": "hotqueue-worker bench.contenders.hotqueue_ -p 2 -q",
    "threads8": "hotqueue-worker bench.contenders.hotqueue_ -p 1 -t 8 -q",
    "async": "hotqueue-worker bench.contenders.hotqueue_ -p 1 -q",
    "sleep": "hotqueue-worker bench.contenders.hotqueue_ -p 1 -t 100 -q",
    "asleep": "hotqueue-worker bench.contenders.hotqueue_ -p 1 --async-concurrency 100 -q",
    "ten": "hotqueue-worker bench.contenders.hotqueue_ -p 10 -q",
}

queue = HotQueue("bench", url=os.environ["BENCH_URL"])
TASKS = {function.__name__: queue.task(function) for function in (*bodies.SYNC, *bodies.ASYNC)}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task].delay(arg)


def send_many(task, args):
    """Enqueue many calls."""
    TASKS[task].map(args)


def wait(handle):
    """Return the value of a call."""
    return handle.get(timeout=10)


async def asend(task, arg):
    """Enqueue one call from an event loop."""
    return await TASKS[task].adelay(arg)


def steps(size):
    """Run a chain of steps; return its value."""
    more = TASKS["more"]
    return chain(more.s(0), *[more.s() for _ in range(size - 1)]).delay().get(timeout=10)


def side_by_side(size):
    """Run a group; return its values."""
    return group(TASKS["one"].s() for _ in range(size)).delay().get(timeout=10)


def fan_in(size):
    """Run a chord; return its value."""
    return chord([TASKS["one"].s() for _ in range(size)], TASKS["total"].s()).delay().get(timeout=10)


SHAPES = {"chain": steps, "group": side_by_side, "chord": fan_in}
