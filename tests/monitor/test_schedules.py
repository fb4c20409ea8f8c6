"""Schedules are listed with when they fire next and what they call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.schedules import schedules

pytestmark = pytest.mark.servers("server")


def test_schedules_of_some_queues(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    made = [queue.schedule("tick", 30, "shop.price", (1,)), other.schedule("cron", "0 3 * * *", "shop.clean", tz="Europe/Paris")]
    made[1].pause()
    one, two = schedules(queue._store, [queue.name, other.name])
    assert (one.name, one.queue, one.task, one.when, one.is_paused) == ("tick", queue.name, "shop.price", "every 30 s", False)
    assert one.as_json()["next_run"].endswith("+00:00")
    assert (two.when, two.is_paused, two.next_run, two.declared_by) == ("0 3 * * * Europe/Paris", True, None, [])
    for each in made:
        each.remove()
