"""ArdiQ, with a core in Rust; its default of concurrency, and 100 for the sleeps."""

import os

from ardiq import Ardiq

from bench import bodies
from bench.contenders import chunks

NAME = "ardiq"
PYTHON = "3.12"
REQUIREMENTS = ("ardiq[cli]==1.2.0", "uvloop==0.23.0")
VERSIONS = ("ardiq", "uvloop")
PROMISES_NOT = "what a dead worker held comes back after 60 s; msgpack values only"
WORKERS = {
    "one": "ardiq run bench.contenders.ardiq_:app -q",
    "two": "ardiq run bench.contenders.ardiq_:app -q --workers 2",
    "async": "ardiq run bench.contenders.ardiq_:app -q",
    "asleep": "ardiq run bench.contenders.ardiq_:app -q",
    "ten": "ardiq run bench.contenders.ardiq_:app -q --workers 10",
}

_more = {"concurrency": 100} if os.environ.get("BENCH_KIND") == "asleep" else {}
app = Ardiq(redis_url=os.environ["BENCH_URL"], queue_name="bench", **_more)
TASKS = {name: app.task(name=name)(function) for name, function in bodies.COROUTINES.items()}


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await TASKS[task].enqueue(arg)


async def asend_many(task, args):
    """Enqueue many calls, a thousand at a time; fewer large ones, which it gives up after 10 s."""
    for few in chunks(args, 100 if task == "payload" else 1000):
        await app.enqueue_many([TASKS[task].prepare(arg) for arg in few])


async def await_value(handle):
    """Return the value of a call."""
    return (await handle.result(timeout=10)).value
