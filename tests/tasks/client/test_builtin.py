"""Tasks of ours, which every worker knows."""

from __future__ import annotations

from hotqueue import HotQueue
from hotqueue.tasks.client.builtin import builtin, collect
from hotqueue.tasks.client.client import client_of


def test_they_are_known_by_name_and_no_task_of_the_user_has_such_a_name() -> None:
    client = client_of(HotQueue("builtin", host="127.0.0.1", port=1))
    found = builtin(client, collect(client).name)
    assert found is not None
    assert found.function([1, 2]) == [1, 2]
    assert builtin(client, "shop.tasks.price") is None
