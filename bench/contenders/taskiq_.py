"""taskiq with taskiq-redis's list broker, its fastest, and its result backend; uvloop is installed, which it uses."""

import os

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from bench import bodies

NAME = "taskiq"
REQUIREMENTS = ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0")
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
TASKS = {name: broker.task(task_name=name)(function) for name, function in bodies.COROUTINES.items()}


async def connect():
    """Open what sending needs."""
    await broker.startup()


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await TASKS[task].kiq(arg)


async def await_value(handle):
    """Return the value of a call; asks every millisecond (its default: every 200 ms)."""
    return (await handle.wait_result(check_interval=0.001, timeout=10)).return_value
