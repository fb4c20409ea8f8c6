"""cauli, whose worker is a program in Rust; coroutines, 64 at a time in a process, with which it is fastest."""

import os

from cauli import Cauli

from bench import bodies
from bench.contenders import chunks

NAME = "cauli"
REQUIREMENTS = ("cauli==0.1.0", "redis==8.1.0", "hiredis==3.5.0")
VERSIONS = ("cauli", "cauli-worker", "redis", "hiredis")
PROMISES_NOT = (
    "a task that takes longer than its visibility timeout of 60 s is run again, and what a dead worker held comes back after "
    "as long; JSON values only; waiting for a result polls"
)
WORKERS = {
    "one": "cauli-worker -A bench.contenders.cauli_:app --redis-url URL --procs 1 --io-concurrency 64 --log-level error",
    "two": "cauli-worker -A bench.contenders.cauli_:app --redis-url URL --procs 2 --io-concurrency 64 --log-level error",
    "async": "cauli-worker -A bench.contenders.cauli_:app --redis-url URL --procs 1 --io-concurrency 64 --log-level error",
    "asleep": "cauli-worker -A bench.contenders.cauli_:app --redis-url URL --procs 1 --io-concurrency 100 --log-level error",
    "ten": "cauli-worker -A bench.contenders.cauli_:app --redis-url URL --procs 10 --io-concurrency 64 --log-level error",
}

app = Cauli(redis_url=os.environ["BENCH_URL"], default_queue="bench")
TASKS = {name: app.task(name=name)(function) for name, function in bodies.COROUTINES.items()}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task].delay(arg)


def send_many(task, args):
    """Enqueue many calls in one pipeline for each thousand."""
    for few in chunks(args, 1000):
        app.enqueue_many([(TASKS[task], (arg,)) for arg in few])


def wait(handle):
    """Return the value of a call; asks every millisecond (its default: that, and then less and less often)."""
    return handle.get(timeout=10, poll_interval=0.001)
