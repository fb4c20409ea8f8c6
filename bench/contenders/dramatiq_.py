"""Dramatiq with its Redis broker and Results; a large prefetch for drains."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench import bodies

NAME = "dramatiq"
REQUIREMENTS = ("dramatiq==2.2.1", "redis==8.1.0", "hiredis==3.5.0")
VERSIONS = ("dramatiq", "redis", "hiredis")
WORKERS = {
    "one": "env dramatiq_queue_prefetch=256 dramatiq bench.contenders.dramatiq_ -p 1 -t 2 --skip-logging",
    "two": "env dramatiq_queue_prefetch=256 dramatiq bench.contenders.dramatiq_ -p 2 -t 2 --skip-logging",
    "threads8": "env dramatiq_queue_prefetch=256 dramatiq bench.contenders.dramatiq_ -p 1 -t 8 --skip-logging",
    "async": "env dramatiq_queue_prefetch=256 dramatiq bench.contenders.dramatiq_ -p 1 -t 8 --skip-logging",
    "sleep": "dramatiq bench.contenders.dramatiq_ -p 1 -t 100 --skip-logging",
    "asleep": "dramatiq bench.contenders.dramatiq_ -p 1 -t 100 --skip-logging",
    "ten": "dramatiq bench.contenders.dramatiq_ -p 10 -t 1 --skip-logging",
}

URL = os.environ["BENCH_URL"]
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL), store_results=True))
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
TASKS = {function.__name__: dramatiq.actor(function) for function in (*bodies.SYNC, *bodies.ASYNC)}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task].send(arg)


def send_many(task, args):
    """Enqueue many calls; dramatiq sends them one by one."""
    dramatiq.group(TASKS[task].message(arg) for arg in args).run()


def wait(handle):
    """Return the value of a call."""
    return handle.get_result(block=True, timeout=10_000)


def steps(size):
    """Run a chain of steps; return its value."""
    more = TASKS["more"]
    line = dramatiq.pipeline([more.message(0), *(more.message() for _ in range(size - 1))])
    return line.run().get_result(block=True, timeout=10_000)


def side_by_side(size):
    """Run a group; return its values. (Its completion callbacks are given no values: it has no chord.)"""
    return list(dramatiq.group(TASKS["one"].message() for _ in range(size)).run().get_results(block=True, timeout=10_000))


SHAPES = {"chain": steps, "group": side_by_side}
