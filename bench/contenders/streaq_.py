"""streaQ, with its default concurrency of 16 (100 for the sleeps)."""

import os
from contextlib import AsyncExitStack

from streaq import Worker

from bench import bodies
from bench.contenders import chunks

NAME = "streaq"
REQUIREMENTS = ("streaq==7.2.0", "coredis==6.9.0", "uvloop==0.23.0")
VERSIONS = ("streaq", "coredis", "uvloop")
WORKERS = {
    "one": "streaq run bench.contenders.streaq_:worker",
    "two": "streaq run bench.contenders.streaq_:worker --workers 2",
    "async": "streaq run bench.contenders.streaq_:worker",
    "asleep": "streaq run bench.contenders.streaq_:worker",
    "ten": "streaq run bench.contenders.streaq_:worker --workers 10",
}

worker = Worker(
    redis_url=os.environ["BENCH_URL"],
    queue_name="bench",
    concurrency=100 if os.environ.get("BENCH_KIND") == "asleep" else 16,
    anyio_kwargs={"use_uvloop": True},
)
TASKS = {name: worker.task(name=name, ttl=3600)(function) for name, function in bodies.COROUTINES.items()}
_stack = AsyncExitStack()


async def connect():
    """Open what sending needs."""
    await _stack.enter_async_context(worker)


async def disconnect():
    """Close it."""
    await _stack.aclose()


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await TASKS[task].enqueue(arg)


async def asend_many(task, args):
    """Enqueue many calls in one pipeline for each thousand."""
    for few in chunks(args, 1000):
        await worker.enqueue_many([TASKS[task].enqueue(arg) for arg in few])


async def await_value(handle):
    """Return the value of a call."""
    return (await handle.result(10)).result
