"""Celery over Redis with the Redis result backend; gossip, mingle and heartbeats off, as its guide advises for speed."""

import os

from celery import Celery, chain, chord, group

from bench import bodies

NAME = "celery"
REQUIREMENTS = ("celery==5.7.0", "redis==8.1.0", "hiredis==3.5.0", "packaging")
VERSIONS = ("celery", "kombu", "redis", "hiredis")
WORKERS = {
    "one": (
        "celery -q -A bench.contenders.celery_ worker -l ERROR -P solo --without-gossip --without-mingle --without-heartbeat"
    ),
    "two": (
        "celery -q -A bench.contenders.celery_ worker -l ERROR -c 2 --prefetch-multiplier 128"
        " --without-gossip --without-mingle --without-heartbeat"
    ),
    "threads8": (
        "celery -q -A bench.contenders.celery_ worker -l ERROR -P threads -c 8"
        " --without-gossip --without-mingle --without-heartbeat"
    ),
    "sleep": (
        "celery -q -A bench.contenders.celery_ worker -l ERROR -P threads -c 100"
        " --without-gossip --without-mingle --without-heartbeat"
    ),
    "ten": ("celery -q -A bench.contenders.celery_ worker -l ERROR -c 10 --without-gossip --without-mingle --without-heartbeat"),
}

URL = os.environ["BENCH_URL"].replace("unix://", "redis+socket://")
app = Celery("bench", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
TASKS = {function.__name__: app.task(function, name=function.__name__) for function in bodies.SYNC}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task].delay(arg)


def send_many(task, args):
    """Enqueue many calls."""
    group(TASKS[task].s(arg) for arg in args).apply_async()


def wait(handle):
    """Return the value of a call."""
    return handle.get(timeout=10)


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
