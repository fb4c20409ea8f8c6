"""What happened in the last minutes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.snapshot import snapshot
from hotqueue.monitor.statistics import COUNTS, Series, Span
from hotqueue.store.store import Store
from hotqueue.watch.pulse import MINUTES, Pulse, beat

pytestmark = pytest.mark.servers("server")


def test_a_rate_is_of_the_last_whole_minute_and_of_the_one_that_goes_on() -> None:
    now = datetime.now(UTC)
    counts = [{**dict.fromkeys(COUNTS, 0), "succeeded": n, "failed": 2} for n in (100, 58, 28)]
    spans = [Span(now - timedelta(seconds=30 + 60 * (2 - n)), each) for n, each in enumerate(counts)]
    found = beat(Series("q", "", 60, tuple(spans)), 7.0)
    assert found.minutes == (102, 60, 30)
    assert found.rate is not None
    assert 0.9 < found.rate <= 1.0
    assert (found.total, found.failed, found.oldest) == (192, 6, 7.0)


def test_it_is_read_of_all_queues_and_not_at_every_look(make_queue: Callable[..., HotQueue], store: Store) -> None:
    queue = make_queue()

    @queue.task
    def double(n: int) -> int:
        return 2 * n

    for n in range(3):
        double.delay(n)
    queue.run_worker(burst=True)
    pulse, found = Pulse(), snapshot(store, [queue.name])
    pulse.read(store, found)
    assert sum(pulse.of(queue.name).minutes) == 3
    assert len(pulse.of(queue.name).minutes) == MINUTES
    first = pulse.of(queue.name)
    pulse.read(store, found)
    assert pulse.of(queue.name) is first
    assert pulse.of("another").minutes == ()
    rate, total, failed = pulse.total()
    assert (rate > 0, total, failed) == (True, 3, 0)
