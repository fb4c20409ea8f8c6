"""The overview says how all queues are, and what to look at; what is in names is text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from tests.support import dashboards
from tests.support.elsewhere import task_by_name

pytestmark = pytest.mark.servers("embedded")


def test_it_says_how_much_there_is_and_who_works(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    asked = dashboards.client(queue)
    assert "No queue has anything in it" in asked.get("/").text
    tasks = [task_by_name(queue, "shop.price").delay(n) for n in range(3)]
    page = dashboards.client(queue).get("/").text
    assert f"3 tasks wait in {queue.name}, and there is no worker" in page
    assert '<span class="label">Waiting</span><span class="value">3</span>' in page
    for task in tasks:
        task.revoke()
