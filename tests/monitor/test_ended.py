"""Tasks that have ended: the last of them first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import ended

MakeQueue = Callable[..., HotQueue]


@pytest.mark.servers("embedded")
def test_where_nothing_has_ended_there_is_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert list(ended.rows(queue._store, queue.name)) == []
