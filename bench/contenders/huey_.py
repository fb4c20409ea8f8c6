"""huey over Redis, results on. Waiting for results it has notify_result, its fastest way; drains are faster without."""

import os

from huey import RedisHuey

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

huey = RedisHuey("bench", url=os.environ["BENCH_URL"], notify_result=os.environ.get("BENCH_FOR") == "latency")
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
