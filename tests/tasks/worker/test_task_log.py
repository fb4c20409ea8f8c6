"""What the log says of tasks: lines for people, fields for whoever collects JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker import task_log
from tests.support.waiting import wait_until
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_failures_retries_and_parking_are_a_line_each_and_successes_at_debug(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue, other = make_queue(), make_queue()
    square, boom, flaky = queue.task(sample.square), queue.task(sample.boom), queue.task(retries=1)(sample.flaky)
    results = {"ok": square.delay(1), "boom": boom.delay("a\nb"), "flaky": flaky.delay(5)}
    results["late"] = square.apply_async((1,), expires=0.000001)
    results["odd"] = other.task(name="odd")(sample.square).delay(1)
    with caplog.at_level(logging.DEBUG, "hotqueue.worker"):
        wait_until(lambda: queue.run_worker(burst=True) is not None and results["late"].ready())
    lines = {r.id: [x.getMessage() for x in caplog.records if r.id in x.getMessage()] for r in results.values()}
    levels = {r.id: {x.levelname for x in caplog.records if r.id in x.getMessage()} for r in results.values()}

    def line(name: str) -> str:
        return lines[results[name].id][0]

    assert "succeeded in" in line("ok")
    assert levels[results["ok"].id] == {"DEBUG"}
    assert re.search(r"failed after \d\.\d{3} s: OSError: \[Errno 5\] a; kept in the dead list$", line("boom"))
    assert "will be retried in" in line("flaky")
    assert "(retry 1): OSError: failure 0" in line("flaky")
    assert "ended without running" in line("late")
    assert line("odd").endswith("cannot run here and is kept for a worker with task:odd")
    results["flaky"].revoke()
    results["odd"].revoke()
    queue.discard_dead(all=True)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("a", "queue a"),
        ("ab", "queues a, b"),
        ("abc", "queues a, b, c"),
        ("abcde", "queues a, b, c and 2 more"),
    ],
)
def test_of_many_queues_the_first_are_named(names: str, text: str) -> None:
    assert task_log.queues(names) == text


def test_a_line_about_a_task_has_fields_for_whoever_collects_json() -> None:
    fields = task_log.about("id-\udc80", "my.task", seconds=0.5, error=None)
    assert fields == {"task": "my.task", "task_id": "id-\\udc80", "hotqueue_fields": {"seconds": 0.5}}
