"""Tasks of random workflows: what each does is said in its arguments, so that it can be told what must come of the whole."""

from __future__ import annotations

import os
import random
from typing import Any

from hotqueue import HotQueue
from hotqueue.errors import NoTask
from hotqueue.tasks import chain, chord, current_task, group

queue = HotQueue(os.environ.get("CRASH_QUEUE", "graphs"), url=os.environ.get("CRASH_URL"))
KINDS = {"ok": 80, "again": 5, "fails": 3, "grows": 12}


def total(values: Any) -> int:
    """Add up numbers, in lists of any depth."""
    return sum(map(total, values)) if isinstance(values, list | tuple) else values or 0


@queue.task(max_deliveries=1000, max_retries=3, retry_backoff=False, default_retry_delay=0)
def step(*args: Any) -> Any:
    """Do as the last two arguments say, with the values of the steps before it in front of these."""
    *values, kind, number = args
    if kind == "fails":
        raise ValueError(number)
    if kind == "again" and _retries() == 0:
        current_task.retry(countdown=0)
    if kind == "grows":
        return grown(random.Random(number), number % 3)
    return (total(values) + number) % 1_000_000_007


@queue.task(max_deliveries=1000)
def told(request: Any, error: BaseException, traceback: str) -> str:
    """Be told of a failure."""
    return repr(error)


def _retries() -> int:
    try:
        return current_task.request.retries
    except NoTask:  # called here, to see what must come of it
        return 1


def grown(dice: random.Random, depth: int, is_whole: bool = True) -> Any:
    """Return a random workflow, of parts in each other so many deep.

    A chord that does with fewer values is one of tasks, and the whole: run in place, such a chord is not begun behind a failure.
    """
    kind = dice.choice(("task", "chain", "group", "chord")) if depth else "task"
    if kind == "task":
        made = step.s(dice.choices([*KINDS], [*KINDS.values()])[0], dice.randrange(1 << 30))
    elif kind == "chain":
        made = chain(*[grown(dice, depth - 1, False) for _ in range(dice.randint(1, 4))])
    elif kind == "group":
        made = group([grown(dice, depth - 1, False) for _ in range(dice.randint(1, 4))])
    else:
        may_fail = is_whole and dice.random() < 0.3
        header = [grown(dice, 0 if may_fail else depth - 1, False) for _ in range(dice.randint(1, 4))]
        made = chord(header, grown(dice, 0, False), allow_failures=may_fail)
    return made.on_error(told.s()) if dice.random() < 0.1 else made
