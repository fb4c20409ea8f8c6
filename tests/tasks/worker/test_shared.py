"""What the workers of a process share: when to stop, what is counted and said, when it was enough."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.tasks import sample
from tests.tasks.worker.test_process import burst

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_it_counts_what_became_of_tasks(make_queue: MakeQueue) -> None:
    queue, other = make_queue(), make_queue()
    queue.task(sample.square).map(range(3))
    for function in (sample.boom, sample.ignore):
        queue.task(function).delay()
    parked = other.task(name="strange")(sample.square).delay(1)
    assert burst(queue).done == {"succeeded": 3, "bury": 1, "forget": 1, "park": 1}
    parked.revoke()
    queue.discard_dead(all=True)


def test_too_much_memory_ends_it_between_tasks(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.task(sample.note).map(range(5))
    process = burst(queue, max_memory=1)
    assert (process.done.total(), process.reached_limit, sample.seen) == (1, True, [0])
    burst(queue, max_memory=1 << 40)
    assert sample.seen == list(range(5))


def test_a_busy_second_is_summed_up_in_one_line(make_queue: MakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    queue = make_queue()
    queue.task(sample.nap).map([0.05] * 25)
    began = time.monotonic()
    with caplog.at_level(logging.INFO, "hotqueue.worker"):
        burst(queue)
    lines = [r.getMessage() for r in caplog.records if "tasks in" in r.getMessage()]
    assert 1 <= len(lines) <= time.monotonic() - began
    assert re.fullmatch(r"\d+ tasks in 1\.\d s; so far \d+ succeeded", lines[0])
