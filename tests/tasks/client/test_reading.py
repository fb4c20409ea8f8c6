"""How far a reader is: what is new to it of what it is given, what a restart and a gap mean. Nobody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError, StreamGap, StreamRestarted
from hotqueue.tasks.broker.streams import Some
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.reading import Reading
from hotqueue.tasks.wire import items, payload

pytestmark = pytest.mark.servers("server")
HANDLE = handle_of(HotQueue("reading", host="127.0.0.1", port=1).result("t"))


def some(first: int, *sizes: int, attempt: int = 7, kept_from: int = 0) -> Some:
    """Return batches of so many numbers each, counted from `first`."""
    batches, at = [], first
    for size in sizes:
        values = [payload.dumps(at + n) for n in range(size)]
        at += size
        batches.append((at, items.encode(values, "t", attempt, at)))
    return Some(True, attempt, kept_from, at, batches)


def reading(start: int = 0, attempt: int | None = None) -> Reading[Any]:
    return Reading(HANDLE, start, None, False, attempt)


def taken(made: Reading[Any]) -> list[Any]:
    return [made._next() for _ in range(len(made._ready))]


def test_of_each_batch_what_comes_next_is_taken() -> None:
    made = reading(2)
    made._take_in(some(0, 1, 3, 2))
    assert (taken(made), made.index, made.attempt) == ([2, 3, 4, 5], 6, 7)
    made._take_in(some(4, 2, 1))
    assert taken(made) == [6]


def test_a_restart_is_told_once_to_who_has_read_something() -> None:
    made = reading()
    made._take_in(some(0, 2))
    assert taken(made) == [0, 1]
    with pytest.raises(StreamRestarted, match="runs again, and streams from its first item") as caught:
        made._take_in(Some(True, 8, 0, 5))
    assert (caught.value.attempt, made.index) == (8, 0)
    made._take_in(some(0, 1, attempt=8))
    assert taken(made) == [0]
    fresh = reading()
    fresh._take_in(Some(True, 7, 0, 0))
    fresh._take_in(Some(True, 8, 0, 0))
    assert (fresh.attempt, fresh.index) == (8, 0)


def test_who_goes_on_with_an_attempt_that_is_over_is_told() -> None:
    made = reading(5, attempt=6)
    with pytest.raises(StreamRestarted):
        made._take_in(Some(True, 7, 0, 9))
    same = reading(5, attempt=7)
    same._take_in(some(5, 1))
    assert taken(same) == [5]


def test_who_begins_late_gets_what_is_kept_and_who_is_late_is_told() -> None:
    made = reading()
    made._take_in(some(3, 2, kept_from=3))
    assert taken(made) == [3, 4]
    with pytest.raises(StreamGap, match="5 items of task t from number 5 on were not read in time") as caught:
        made._take_in(some(10, 2, kept_from=10))
    assert caught.value.first == 10
    made._take_in(some(10, 2, kept_from=10))
    assert taken(made) == [10, 11]
    with pytest.raises(StreamGap):
        reading(1)._take_in(some(3, 2, kept_from=3))


def test_what_was_lost_in_between_is_told_once_what_is_before_it_was_handed_out() -> None:
    lost = Some(True, 7, 0, 6, some(0, 2).batches + some(4, 2).batches)
    made = reading()
    made._take_in(lost)
    assert taken(made) == [0, 1]
    rest = Some(True, 7, 0, 6, lost.batches[1:])
    with pytest.raises(StreamGap, match=r"2 items of task t from number 2 on are lost: a server .*; next is number 4") as caught:
        made._take_in(rest)
    assert caught.value.first == 4
    made._take_in(rest)
    assert taken(made) == [4, 5]
    fresh = reading()
    fresh._take_in(rest)
    assert (taken(fresh), fresh.index) == ([4, 5], 6)


def test_an_item_that_cannot_be_loaded_names_itself() -> None:
    made = reading()
    made._take_in(Some(True, 7, 0, 2, [(2, items.encode([b"no pickle", payload.dumps("fine")], "t", 7, 2))]))
    with pytest.raises(SerializationError, match="item 0 of task t cannot be loaded here"):
        made._next()
    assert made._next() == "fine"


@pytest.mark.parametrize(
    "wrong", [{"start": -1}, {"start": "1"}, {"timeout": -1}, {"timeout": "5"}, {"backpressure": 1}, {"begin": 1}]
)
def test_options_that_are_none_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"{next(iter(wrong))}|start"):
        HotQueue("reading", host="127.0.0.1", port=1).result("t").stream(**wrong)
