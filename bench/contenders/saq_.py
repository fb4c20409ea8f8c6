"""SAQ over Redis, 100 jobs at a time, with which it is faster than with its default of 10."""

import os

from saq import Job, Queue

from bench import bodies

NAME = "saq"
REQUIREMENTS = ("saq==0.26.4", "redis==7.4.1", "hiredis==3.5.0", "uvloop==0.23.0", "typing_extensions", "croniter")
VERSIONS = ("saq", "redis", "hiredis", "uvloop")
WORKERS = {
    "one": "saq bench.contenders.saq_.settings -q",
    "two": "saq bench.contenders.saq_.settings -q --workers 2",
    "async": "saq bench.contenders.saq_.settings -q",
    "asleep": "saq bench.contenders.saq_.settings -q",
    "ten": "saq bench.contenders.saq_.settings -q --workers 10",
}

queue = Queue.from_url(os.environ["BENCH_URL"], name="bench", max_concurrent_ops=100)


def _function(name, body):
    async def run(ctx, *, arg):
        return await body(arg)

    return name, run


settings = {
    "queue": queue,
    "functions": [_function(*each) for each in bodies.COROUTINES.items()],
    "concurrency": 100,
}


async def connect():
    """Open what sending needs."""
    await queue.connect()


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await queue.enqueue(Job(task, kwargs={"arg": arg}, ttl=3600))


async def atrip(task, arg):
    """Enqueue one call and return its value; looks every millisecond (its default: every 500 ms)."""
    return await queue.apply(task, timeout=10, poll_interval=0.001, arg=arg)
