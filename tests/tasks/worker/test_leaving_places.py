"""A worker leaves its places side by side: one that does not answer keeps it from no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.worker.leaving_places import leave_all
from tests.support.servers import RedisServer
from tests.tasks.worker.test_several_servers import make_worker

pytestmark = pytest.mark.servers("server")


@pytest.mark.parametrize("can_be_left", [True, False])
def test_all_are_left_side_by_side(
    make_queue: Callable[..., HotQueue], start_redis: Callable[[], RedisServer], can_be_left: bool
) -> None:
    worker = make_worker([make_queue(), make_queue("other", url=start_redis().url)])
    assert worker._places is not None
    places = [place for place in worker._places._places.values() if place.subscriptions]  # type: ignore[attr-defined]
    both = threading.Barrier(2, timeout=10)

    def leave(subscriptions: object) -> bool:
        both.wait()  # none ends before the other has begun
        return can_be_left

    assert leave_all(places, worker, leave) is can_be_left
    worker._leave()


def test_a_thread_that_does_not_come_back_is_not_waited_for(
    make_queue: Callable[..., HotQueue], start_redis: Callable[[], RedisServer]
) -> None:
    worker = make_worker([make_queue(), make_queue("other", url=start_redis().url)])
    assert worker._places is not None
    places = [place for place in worker._places._places.values() if place.subscriptions]  # type: ignore[attr-defined]
    ends = threading.Event()
    places[1].background.begin(ends.wait)
    left: list[object] = []
    began = time.monotonic()
    assert not leave_all(list(places), worker, lambda subscriptions: bool(left.append(subscriptions)) or True)
    assert time.monotonic() - began < 5
    assert len(left) == 1
    ends.set()
    worker._leave()
