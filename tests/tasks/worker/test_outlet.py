"""The way of a run's items to the store: in batches by what has come, never more than a little in memory, and none that is lost.

Of the kind: an outage in the middle, a reply that is lost, a worker that was given up, a server that refuses what it is sent.
"""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.errors import ConnectionFailed, LeaseLost, QueueFull, SerializationError
from hotqueue.tasks.broker.streams import ADDED, FULL, Place
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import items, payload
from hotqueue.tasks.worker import outlet
from hotqueue.tasks.worker.outlet import StreamOutlet
from tests.support.waiting import wait_until
from tests.tasks.test_context import request_of


class Store:
    """A broker that keeps what it is given, and does what it is told for some calls first."""

    def __init__(self, *first: Any, count: int = 0) -> None:
        self.first, self.kept, self.count, self.calls = list(first), [], count, 0  # type: ignore[var-annotated]

    def stream_add(
        self, _worker: str, task_id: str, _run: str, at: Place, batch: tuple[int, bytes], begin: str, _most: int, _ttl: int
    ) -> tuple[int, int, int]:
        self.calls += 1
        if self.first and (now := self.first.pop(0)) != ADDED:
            if isinstance(now, Exception):
                raise now
            return now, 7, self.count
        if batch[0]:
            assert at.index == self.count
            self.count += batch[0]
            self.kept.append([payload.loads(item) for item in items.decode(batch[1], task_id, 7, self.count)])
        return ADDED, 7, self.count

    @property
    def all(self) -> list[Any]:
        return [item for batch in self.kept for item in batch]


def outlet_to(store: Store, **options: Any) -> StreamOutlet:
    return StreamOutlet(store, request_of(), TaskOptions(**options), None)  # type: ignore[arg-type]


def ended(made: StreamOutlet) -> None:
    made.end()
    wait_until(lambda: made.is_done)


def test_what_comes_together_goes_together() -> None:
    made = outlet_to(store := Store())
    for n in range(5000):
        made.put(n)
    ended(made)
    made.check()
    assert store.all == list(range(5000))
    assert max(map(len, store.kept)) <= outlet.BATCH_ITEMS
    assert store.calls < 100


def test_no_batch_is_more_than_a_part_of_what_is_kept() -> None:
    made = outlet_to(store := Store(), stream_max=8)
    for n in range(100):
        made.put(n)
    ended(made)
    assert (store.all, max(map(len, store.kept))) == (list(range(100)), 2)


def test_the_task_is_slowed_while_much_waits() -> None:
    made = outlet_to(store := Store(*[FULL] * 8))
    for _ in range(100):
        made.put("x" * 10_000)
    assert made.is_full
    wait_until(lambda: not made.is_full)
    ended(made)
    assert len(store.all) == 100


@pytest.mark.parametrize("error", [ConnectionFailed("away"), ConnectionFailed("lost", sent=True)])
def test_an_outage_loses_nothing(error: Exception) -> None:
    made = outlet_to(store := Store(error, error, ADDED, error))
    for n in range(10):
        made.put(n)
    ended(made)
    made.check()
    assert store.all == list(range(10))


@pytest.mark.parametrize(
    ("first", "kind"),
    [(0, LeaseLost), (QueueFull("no memory"), QueueFull), (ConnectionFailed("no", retry=False), ConnectionFailed)],
)
def test_what_cannot_be_mended_is_raised_in_the_task(first: Any, kind: type[Exception]) -> None:
    made = outlet_to(store := Store(ADDED, first))
    made.put(1)
    wait_until(lambda: made.is_done)
    with pytest.raises(kind):
        made.put(2)
    assert (store.all, made.is_full) == ([], False)


def test_a_run_that_was_given_up_adds_nothing_more() -> None:
    made = outlet_to(store := Store(*[FULL] * 1000))
    made._request.lost = True
    with pytest.raises(LeaseLost):
        made.put(1)
    ended(made)
    assert store.all == []


def test_a_deterministic_one_stores_what_was_not_stored() -> None:
    made = outlet_to(store := Store(count=3), stream_deterministic=True)
    wait_until(lambda: not made.is_full)
    for n in range(6):
        made.put(n)
    ended(made)
    assert store.all == [3, 4, 5]


def test_an_item_that_cannot_travel_names_itself_and_takes_no_place() -> None:
    made = outlet_to(store := Store())
    made.put(0)
    with pytest.raises(
        SerializationError, match=r"a.b yielded an item, number 1, that cannot be stored: generator cannot be pickled"
    ):
        made.put(n for n in "ab")
    made.put(1)
    ended(made)
    assert store.all == [0, 1]
