"""Limits on every kind of server, with workers of this process: never more at a time, all done, nothing left."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hotqueue import HotQueue
from hotqueue.monitor import inventory
from hotqueue.tasks.client.definition import definition_of
from tests.support import leaks
from tests.support.durations import take_time


class Meter:
    """Counts how many are inside at a time."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._now -= 1


def test_all_are_done_and_never_too_many_at_a_time(make_queue: Callable[..., HotQueue]) -> None:
    queue, meter = make_queue(), Meter()

    @queue.task(name="limited", max_concurrency=2, concurrency_key="{tenant}")
    def limited(n: int, tenant: str = "one") -> int:
        with meter:
            take_time(0.002)
        return n

    definition_of(limited).by_value = False
    results = [limited.delay(n) for n in range(12)] + [limited.apply_async((12,), countdown=0.01)]
    assert results[5].state == "PENDING"
    assert queue.pending() == inventory.length(queue._store, queue.name).tasks == 13
    assert limited.apply_async((7,), task_id=results[7].id) == results[7]
    assert queue.pending() == 13
    assert results[11].revoke() == "revoked"
    workers = [threading.Thread(target=queue.run_worker, kwargs={"burst": True}) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [result.get(timeout=30) for result in results if result is not results[11]] == [*range(11), 12]
    assert 1 <= meter.most <= 2  # one of them may have run them all
    left = leaks.keys_of(queue._store.client(), queue.name)
    assert [key for key in left if any(word in key for word in (":gated", ":blocked", ":lane", ":slots"))] == []


def test_inside_testing_limits_are_checked_and_hold_nobody_back(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()

    @queue.task(max_concurrency=1)
    def outer(n: int) -> int:
        return outer.delay(n - 1).get(timeout=1) + 1 if n else 0

    with queue.testing():
        assert outer.delay(3).get(timeout=1) == 3
