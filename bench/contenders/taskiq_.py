"""taskiq with taskiq-redis's list broker, its fastest, and its result backend; uvloop is installed, which it uses."""

import asyncio
import os

from taskiq_pipelines import Pipeline, PipelineMiddleware
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from bench import bodies

NAME = "taskiq"
REQUIREMENTS = (
    "taskiq==0.13.0",
    "taskiq-redis==1.2.4",
    "taskiq-pipelines==0.1.4",
    "redis==8.1.0",
    "hiredis==3.5.0",
    "uvloop==0.23.0",
)
VERSIONS = ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop")
WORKERS = {
    "one": "taskiq worker bench.contenders.taskiq_:broker --workers 1 --log-level ERROR",
    "two": "taskiq worker bench.contenders.taskiq_:broker --workers 2 --log-level ERROR",
    "async": "taskiq worker bench.contenders.taskiq_:broker --workers 1 --log-level ERROR",
    "asleep": "taskiq worker bench.contenders.taskiq_:broker --workers 1 --max-async-tasks 100 --log-level ERROR",
    "ten": "taskiq worker bench.contenders.taskiq_:broker --workers 10 --log-level ERROR",
}

URL = os.environ["BENCH_URL"]
broker = ListQueueBroker(URL, queue_name="bench").with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3600))
if os.environ.get("BENCH_FOR") == "shapes":
    broker.add_middlewares(PipelineMiddleware())
TASKS = {name: broker.task(task_name=name)(function) for name, function in bodies.COROUTINES.items()}


@broker.task(task_name="members")
async def members(size):
    """Return what a chord's members are called with."""
    return list(range(size))


TASKS["members"] = members


async def connect():
    """Open what sending needs."""
    await broker.startup()


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await TASKS[task].kiq(arg)


async def await_value(handle):
    """Return the value of a call; asks every millisecond (its default: every 200 ms)."""
    return (await handle.wait_result(check_interval=0.001, timeout=10)).return_value


async def steps(size):
    """Run a chain of steps; return its value."""
    line = Pipeline(broker, TASKS["more"])
    for _ in range(size - 1):
        line = line.call_next(TASKS["more"])
    return await await_value(await line.kiq(0))


async def side_by_side(size):
    """Send many calls, and wait for all; return their values."""
    handles = await asyncio.gather(*(asend("one", None) for _ in range(size)))
    return await asyncio.gather(*map(await_value, handles))


async def fan_in(size):
    """Run a pipeline that maps and adds up: its chord; return its value."""
    line = Pipeline(broker, TASKS["members"]).map(TASKS["one"], check_interval=0.001).call_next(TASKS["total"])
    return await await_value(await line.kiq(size))


SHAPES = {"chain": steps, "group": side_by_side, "chord": fan_in}
