"""huey over Redis, results on. Waiting for results it has notify_result, its fastest way; drains are faster without."""

import os

from huey import RedisHuey
from huey.api import chord, group

from bench import bodies

NAME = "huey"
REQUIREMENTS = ("huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0")
VERSIONS = ("huey", "redis", "hiredis")
WORKERS = {
    "one": "huey_consumer bench.contenders.huey_.huey -k thread -w 2 -q",
    "two": "huey_consumer bench.contenders.huey_.huey -k process -w 2 -q",
    "threads8": "huey_consumer bench.contenders.huey_.huey -k thread -w 8 -q",
    "sleep": "huey_consumer bench.contenders.huey_.huey -k thread -w 100 -q",
    "ten": "huey_consumer bench.contenders.huey_.huey -k process -w 10 -q",
}

huey = RedisHuey("bench", url=os.environ["BENCH_URL"], notify_result=os.environ.get("BENCH_FOR") in ("latency", "shapes"))
TASKS = {function.__name__: huey.task()(function) for function in bodies.SYNC}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task](arg)


def send_many(task, args):
    """Enqueue many calls; huey sends them one by one."""
    TASKS[task].map(args)


def wait(handle):
    """Return the value of a call."""
    return handle.get(blocking=True, timeout=10)


def steps(size):
    """Run a chain of steps; return its value."""
    line = TASKS["more"].s(0)
    for _ in range(size - 1):
        line.then(TASKS["more"])
    return list(huey.enqueue(line))[-1].get(blocking=True, timeout=10)


def side_by_side(size):
    """Run a group; return its values."""
    return huey.enqueue(group([TASKS["one"].s() for _ in range(size)])).get(blocking=True, timeout=10)


def fan_in(size):
    """Run a chord; return its value."""
    return huey.enqueue(chord([TASKS["one"].s() for _ in range(size)], TASKS["total"].s())).get(blocking=True, timeout=10)


SHAPES = {"chain": steps, "group": side_by_side, "chord": fan_in}
