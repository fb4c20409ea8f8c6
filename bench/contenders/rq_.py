"""RQ; its SimpleWorker where that helps, which does without a fork for each call."""

import os

from redis import Redis
from rq import Queue

from bench import bodies
from bench.contenders import chunks

NAME = "rq"
REQUIREMENTS = ("rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0")
VERSIONS = ("rq", "redis", "hiredis")
WORKERS = {
    "one": "rq worker -u URL -w rq.worker.SimpleWorker --quiet bench",
    "two": "rq worker-pool -u URL -w rq.worker.SimpleWorker --quiet -n 2 bench",
    "ten": "rq worker-pool -u URL -w rq.worker.SimpleWorker --quiet -n 10 bench",
}

queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_URL"]))
TASKS = {function.__name__: function for function in bodies.SYNC}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return queue.enqueue(TASKS[task], arg)


def send_many(task, args):
    """Enqueue many calls."""
    function = TASKS[task]
    for few in chunks(args, 1000):
        queue.enqueue_many([Queue.prepare_data(function, (arg,)) for arg in few])


def wait(handle):
    """Return the value of a call."""
    return handle.latest_result(timeout=10).return_value
