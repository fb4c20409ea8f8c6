"""taskito, with a core in Rust, over its own SQLite file: no Redis takes part. Pushed, many at once, its fastest setting."""

import os

from taskito import Queue, chain, chord, group

from bench import bodies
from bench.contenders import chunks

NAME = "taskito"
REQUIREMENTS = ("taskito==0.22.0",)
VERSIONS = ("taskito",)
HAS_OWN_STORE = True
PROMISES_NOT = "its store is a file of one machine; waiting for a result polls"
WORKERS = {
    "one": "taskito worker --app bench.contenders.taskito_:queue",
    "two": "taskito worker --app bench.contenders.taskito_:queue --pool prefork",
    "threads8": "taskito worker --app bench.contenders.taskito_:queue",
    "async": "taskito worker --app bench.contenders.taskito_:queue",
    "sleep": "taskito worker --app bench.contenders.taskito_:queue",
    "asleep": "taskito worker --app bench.contenders.taskito_:queue",
    "ten": "taskito worker --app bench.contenders.taskito_:queue --pool prefork",
}

_THREADS = {"one": 1, "two": 2, "threads8": 8, "sleep": 100, "ten": 10}
queue = Queue(
    db_path=os.path.join(os.environ["BENCH_STORE"], "taskito.db"),
    workers=_THREADS.get(os.environ.get("BENCH_KIND", ""), 1),
    push_dispatch=True,
    scheduler_batch_size=100,
    scheduler_poll_interval_ms=1,
)
TASKS = {function.__name__: queue.task(name=function.__name__)(function) for function in (*bodies.SYNC, *bodies.ASYNC)}


def send(task, arg):
    """Enqueue one call; return its handle."""
    return TASKS[task].delay(arg)


def send_many(task, args):
    """Enqueue many calls, a thousand in a transaction."""
    for few in chunks(args, 1000):
        queue.enqueue_many(task, [(arg,) for arg in few])


def wait(handle):
    """Return the value of a call; asks every millisecond (its default: every 50 ms, and then less often)."""
    return handle.result(timeout=10, poll_interval=0.001, max_poll_interval=0.001)


def steps(size):
    """Run a chain of steps, each of which its client waits for; return its value."""
    more = TASKS["more"]
    return wait(chain(more.s(0), *[more.s() for _ in range(size - 1)]).apply(queue))


def side_by_side(size):
    """Run a group; return its values."""
    return [wait(each) for each in group(*[TASKS["one"].s() for _ in range(size)]).apply(queue)]


def fan_in(size):
    """Run a chord, whose members its client waits for; return its value."""
    return wait(chord(group(*[TASKS["one"].s() for _ in range(size)]), TASKS["total"].s()).apply(queue))


SHAPES = {"chain": steps, "group": side_by_side, "chord": fan_in}
