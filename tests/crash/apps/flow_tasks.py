"""Two queues, and tasks of the first with each means of flow control."""

from __future__ import annotations

import os
import time

from hotqueue import HotQueue
from tests.support.durations import take_time

queue = HotQueue(os.environ["CRASH_QUEUE"], url=os.environ["CRASH_URL"])
side = HotQueue(f"{queue.name}-side", url=os.environ["CRASH_URL"])


@side.task
def beside(n: int) -> int:
    return n


@queue.task
def plain(n: int) -> int:
    return n


@queue.task(rate_limit="5/s", rate_limit_key="r-{key}")
def rated(key: str) -> float:
    return time.time()


@queue.task(max_concurrency=1, concurrency_key="c-{key}")
def alone(key: str, seconds: float = 0.0) -> tuple[float, float]:
    began = time.time()
    take_time(seconds)
    return began, time.time()


@queue.task(fair_key="f-{key}")
def fair(key: str) -> float:
    return time.time()


@queue.task(unique="u-{key}", on_conflict="replace")
def single(key: str, n: int) -> int:
    return n


@queue.task(rate_limit="1000/s", max_concurrency=2, fair_key="f-{key}", concurrency_key="c-{key}", unique=True)
def all_gates(key: str, n: int) -> int:
    return n
