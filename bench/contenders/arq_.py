"""arq; it looks for work and results every 5 ms (its default, with which its idling is measured: every 500 ms)."""

import os

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import func

from bench import bodies

NAME = "arq"
REQUIREMENTS = ("arq==0.28.0", "redis==5.3.1", "hiredis==3.5.0", "uvloop==0.23.0")
VERSIONS = ("arq", "redis", "hiredis", "uvloop")
WORKERS = {
    "one": "arq bench.contenders.arq_.Settings --custom-log-dict bench.contenders.arq_.QUIET",
    "two": "2x arq bench.contenders.arq_.Settings --custom-log-dict bench.contenders.arq_.QUIET",
    "async": "arq bench.contenders.arq_.Settings --custom-log-dict bench.contenders.arq_.QUIET",
    "asleep": "arq bench.contenders.arq_.Settings --custom-log-dict bench.contenders.arq_.QUIET",
    "ten": "10x arq bench.contenders.arq_.Settings --custom-log-dict bench.contenders.arq_.QUIET",
}

QUIET = {"version": 1, "disable_existing_loggers": True}
REDIS = RedisSettings.from_dsn(os.environ["BENCH_URL"])
TOGETHER = 100  # calls sent at once, for want of a bulk call
_pool = None


def _function(name, body):
    async def run(ctx, arg):
        return await body(arg)

    return func(run, name=name)


class Settings:
    """What the worker reads."""

    functions = [_function(*each) for each in bodies.COROUTINES.items()]  # noqa: RUF012
    redis_settings = REDIS
    max_jobs = 100
    keep_result = 3600
    poll_delay = 0.5 if os.environ.get("BENCH_FOR") == "idle" else 0.005


async def connect():
    """Open what sending needs."""
    global _pool
    _pool = await create_pool(REDIS)


async def asend(task, arg):
    """Enqueue one call; return its handle."""
    return await _pool.enqueue_job(task, arg)


async def await_value(handle):
    """Return the value of a call."""
    return await handle.result(timeout=10, poll_delay=0.005)
