"""Streams in the store: who may add to one, how much is kept, for whom the task waits, and when all of it goes.

Of the kind: a worker that was given up, or never held the task; a run before the one that runs; a batch that is sent twice; keys
of the wrong type, or gone in the middle; more than is kept, by number and by bytes; readers that are slow, silent, or gone.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from hotqueue.errors import ConfigError, Refused
from hotqueue.tasks.broker import streams
from hotqueue.tasks.broker.discarding import UNDO_MS
from hotqueue.tasks.broker.streams import ADDED, FULL, NEW, ON, Place, Some
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, place, sync

pytestmark = pytest.mark.servers("server")
DAY = 86_400_000


class Run:
    """One run of task `t` at worker `w`, as its outlet speaks to the store."""

    def __init__(self, room: Room, begin: str = NEW, most: int = 10, worker: str = "w") -> None:
        self.room, self.name, self.most, self.worker = room, os.urandom(4).hex(), most, worker
        self.begun, self.attempt, self.count = self.say(Place(), (0, b""), begin)

    def say(self, at: Place, batch: tuple[int, bytes], begin: str = "", ttl: int = DAY) -> tuple[int, int, int]:
        return self.room.broker.stream_add(self.worker, "t", self.name, at, batch, begin, self.most, ttl)

    def add(self, number: int = 1, data: bytes = b"batch", at: int | None = None, ttl: int = DAY) -> int:
        at = self.count if at is None else at
        code, _, count = self.say(Place(self.attempt, at), (number, data), "", ttl)
        self.count = count if code == ADDED else self.count
        return code


@pytest.fixture
def held(room: Room) -> Room:
    """A queue of which worker `w` holds task `t`."""
    room.fill({"workers": {"w": 5}, "tasks": {"t": sync()}, "held:w": {"t": f"1 s {place(1)}"}})
    return room


def read(room: Room, at: int = 0, attempt: int = 0, **more: Any) -> Some:
    return room.broker.stream_read("t", Place(attempt, at, "reader", **more))


def test_items_are_read_from_any_of_them_on(held: Room) -> None:
    run = Run(held)
    assert [run.add(2, b"a"), run.add(1, b"b"), run.add(3, b"c")] == [ADDED] * 3
    assert read(held) == Some(True, run.attempt, 0, 6, [(2, b"a"), (3, b"b"), (6, b"c")])
    assert read(held, 1).batches == read(held, 0).batches
    assert read(held, 2).batches == [(3, b"b"), (6, b"c")]
    assert read(held, 6).batches == []
    assert held.broker.stream_read("t", Place(0, 0, "r"), 0).batches == []
    assert read(held, attempt=run.attempt - 1).batches == []


def test_only_whom_the_task_belongs_to_may_add(held: Room) -> None:
    run = Run(held)
    assert Run(held, worker="another").begun == 0
    held.client.delete(held.prefix + "held:w")
    assert run.add() == 0
    held.fill({"held:w": {"t": f"1 s {place(1)}"}})
    held.client.delete(held.prefix + "workers")  # given up, though it holds it still
    assert run.add() == 0
    assert read(held).count == 0


def test_a_run_ends_the_one_before(held: Room) -> None:
    first = Run(held)
    first.add(2)
    second = Run(held)
    assert (first.add(), first.begun, second.begun) == (0, ADDED, ADDED)
    assert second.attempt > first.attempt
    assert read(held) == Some(True, second.attempt, 0, 0, [])
    assert Run(held, ON).count == 0
    second.add()


def test_a_run_goes_on_where_the_one_before_ended(held: Room) -> None:
    first = Run(held, ON)
    first.add(2)
    second = Run(held, ON)
    assert (second.attempt, second.count, first.add()) == (first.attempt, 2, 0)
    assert (second.add(1, b"b"), read(held).batches) == (ADDED, [(2, b"batch"), (3, b"b")])


def test_what_is_sent_twice_is_there_once(held: Room) -> None:
    run = Run(held)
    assert run.say(Place(), (0, b""), NEW) == (ADDED, run.attempt, 0)
    run.add(2)
    assert (run.add(2, at=0), run.count, read(held).count) == (ADDED, 2, 2)
    with pytest.raises((ConfigError, Refused), match="begins with item 1, and not with 2"):
        run.add(2, at=1)


def test_what_a_server_had_not_passed_on_to_the_one_in_its_place_is_a_gap(held: Room) -> None:
    run = Run(held)
    for data in (b"a", b"b", b"c"):
        run.add(2, data)
    stream, streamed = held.prefix + "stream:t", held.prefix + "streamed:t"
    held.client.xdel(stream, f"{run.attempt}-4", f"{run.attempt}-6")
    held.client.hset(streamed, mapping={"count": 2, "bytes": 1})
    assert (run.add(2, b"d"), read(held).batches) == (ADDED, [(2, b"a"), (8, b"d")])
    other = Run(held)
    other.add(2)
    held.client.delete(stream)
    held.client.hset(streamed, mapping={"run": run.name, "attempt": run.attempt, "count": 8})  # as if it had not begun
    assert (other.add(1, b"e"), run.add()) == (ADDED, 0)
    assert (read(held).attempt, read(held).batches) == (other.attempt, [(3, b"e")])


def test_what_has_ended_without_a_run_goes_when_it_is_to(held: Room) -> None:
    Run(held).add(1)
    held.broker.stream_ends("t", 60_000)
    assert all(0 < held.client.pttl(held.prefix + name) <= 60_000 for name in ("stream:t", "streamed:t"))


def test_as_many_as_are_to_be_are_kept_in_whole_batches(held: Room) -> None:
    run = Run(held, most=10)
    for _ in range(30):
        run.add(3)
    some = read(held)
    assert (some.count, some.first, len(some.batches)) == (90, 80, 4)  # of the first batch a part
    assert held.client.xlen(held.prefix + "stream:t") == 4


def test_no_more_bytes_are_kept_than_may(held: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 1000)
    run = Run(held, most=100)
    for _ in range(9):
        run.add(1, b"x" * 400)
    assert (read(held).first, read(held).count) == (7, 9)
    run.add(1, b"x" * 4000)
    assert [end for end, _ in read(held).batches] == [10]


def test_a_read_brings_no_more_bytes_than_it_may(held: Room) -> None:
    run = Run(held, most=100)
    for _ in range(5):
        run.add(1, b"x" * 400)
    at = Place(0, 0, "r")
    assert [len(held.broker.stream_read("t", at, most).batches) for most in (1, 900, 9000)] == [1, 2, 5]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_task_waits_for_who_reads_it(held: Room, is_held: bool) -> None:
    run = Run(held, most=4)
    run.add(2)
    read(held, 0, is_held=is_held)  # has read two, and used none
    run.add(2)
    codes = [run.add(2), run.add(2)]
    assert codes == ([FULL] * 2 if is_held else [ADDED, FULL])
    held.broker.stream_read("t", Place(run.attempt, 4, "reader", is_held), 0)
    assert run.add(2) == ADDED


def test_a_task_waits_for_nobody_who_left_or_is_silent(held: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(held, most=4)
    run.add(4)
    read(held, 0, is_held=True)
    assert run.add() == FULL
    held.broker.stream_read("t", Place(0, 0, "reader"), 0, leaves=True)
    assert run.add(4) == ADDED
    monkeypatch.setattr(streams, "HELD_MS", 50)
    read(held, 4, is_held=True)
    wait_until(lambda: run.add() == ADDED)


def test_a_reader_of_an_attempt_before_has_read_nothing_of_this_one(held: Room) -> None:
    run = Run(held, most=4)
    run.add(4)
    read(held, 4, attempt=run.attempt, is_held=True)
    again = Run(held, most=4)
    assert [again.add(4), again.add(1)] == [ADDED, FULL]


def test_all_of_it_goes_in_time_and_with_its_task(held: Room) -> None:
    run = Run(held)
    run.add()
    both = [held.prefix + "stream:t", held.prefix + "streamed:t"]
    assert all(DAY - 60_000 < held.client.pttl(key) <= DAY for key in both)
    run.add(0, b"", ttl=5000)
    assert all(held.client.pttl(key) <= 5000 for key in both)
    held.broker.forget("t")
    assert held.client.exists(*both) == 0
    assert read(held, 1) == Some(True, 0, 0, 0, [])
    assert (run.add(1, at=1), read(held, 0)) == (ADDED, Some(True, run.attempt, 1, 2, [(2, b"batch")]))


def test_a_reader_that_comes_first_leaves_nothing(held: Room) -> None:
    assert read(held) == Some(True, 0, 0, 0, [])
    assert 0 < held.client.pttl(held.prefix + "streamed:t") <= streams.WAITED_MS
    assert Run(held).begun == ADDED
    assert held.broker.stream_read("unknown", Place()) == Some(False, 0, 0, 0, [])
    assert held.client.exists(held.prefix + "streamed:unknown") == 0


def test_discarded_and_revoked_ones_take_it_with_them(held: Room) -> None:
    Run(held).add()
    held.fill({"dead": {"t": 1}, "dead:tasks": {"t": "{}\nx"}})
    held.broker.discard(["t"])
    for key in ("stream:t", "streamed:t"):  # as long as it can be brought back
        assert 0 < held.client.pttl(held.prefix + key) <= UNDO_MS
    held.client.delete(held.prefix + "stream:t", held.prefix + "streamed:t")
    Run(held).add()
    held.client.delete(held.prefix + "held:w")
    held.fill({"attempts": {"t": "1 0"}, "ready": {"t": place(1)}})
    held.broker.revoke("t", b"how it ended", 1000)
    assert held.client.pttl(held.prefix + "stream:t") <= 1000


@pytest.mark.parametrize("key", ["stream:t", "streamed:t", "held:w", "workers", "tasks"])
def test_a_key_of_the_wrong_type_is_said_and_nothing_is_written(held: Room, key: str) -> None:
    run = Run(held)
    held.client.delete(held.prefix + key)
    held.client.set(held.prefix + key, "junk")
    before = held.client.dump(held.prefix + "streamed:t")
    if key != "tasks":
        with pytest.raises(ConfigError, match="WRONGTYPE"):
            run.add()
    if key not in ("held:w", "workers"):
        with pytest.raises(ConfigError, match="WRONGTYPE"):
            read(held)
    assert held.client.dump(held.prefix + "streamed:t") == before
