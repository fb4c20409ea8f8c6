"""Counting: accounts add up by name, and all together, in each step; in whatever way they are read."""

from __future__ import annotations

import struct

import pytest

from hotqueue.tasks.wire import account, envelope
from hotqueue.tasks.wire.counting import ALL, Counting, due_at, ends
from hotqueue.tasks.wire.settlement import Delivery
from tests.tasks.wire.test_account import delivery, told

CLOCK = 1000.0


def counted(*accounts: bytes) -> Counting:
    found = Counting()
    for data in accounts:
        found.count(data)
    return found


def test_it_adds_up_by_name_and_by_step() -> None:
    found = counted(told([delivery("a"), delivery("b", "shop.b")], "XX"), told([delivery("c", "shop.b")], "X"))
    found.enqueued(17, "shop.b", 3)
    spans = found.spans()
    assert {name for name, _, _ in spans} == {ALL, "shop.a", "shop.b"}
    assert spans["shop.b", 60, 16].counts == {"succeeded": 2, "started": 2}
    assert spans["shop.b", 3600, 0].counts == {"succeeded": 2, "started": 2, "enqueued": 3}
    assert spans[ALL, 86400, 0].counts == {"succeeded": 3, "started": 3, "enqueued": 3}
    assert found.tasks == 3


def test_a_batch_counts_as_its_tasks_do() -> None:
    """Whether they are taken in together, as most are, or one by one, as here with one more whose end did not count."""
    batch = [delivery(f"{n}", took=0.1 * n) for n in range(5)]
    together = counted(told(batch, "XXSXX"))
    one_by_one = counted(bytes([account.WITHOUT]) + struct.pack(">I", 1) + b"z" + told([*batch, delivery("z")], "XXSXXX"))
    assert account.plain(told(batch, "XXSXX")) is not None
    assert together.spans() == one_by_one.spans()
    assert together.last == one_by_one.last == pytest.approx(1010.4)
    tally = together.spans()["shop.a", 60, 16]
    assert (tally.counts, tally.attempts) == ({"started": 5, "succeeded": 5}, {1: 5})
    assert tally.histograms()[1].total == pytest.approx(5 * 10.0)  # sent at 1,000 s, started at 1,010


def test_a_start_counts_in_its_own_minute() -> None:
    spans = counted(told([delivery("a", began=10.0, took=60.0)], "X")).spans()
    assert spans["shop.a", 60, 16].counts == {"started": 1}
    assert spans["shop.a", 60, 17].counts == {"succeeded": 1}


def test_what_was_lost_had_started() -> None:
    head = delivery("a").data
    line = struct.pack(">BQBI", account.LINE, 1_010_000, 4, len(head)) + b"lost" + head
    found = counted(line)
    assert found.spans()["shop.a", 60, 16].counts == {"lost": 1, "started": 1}
    assert found.tasks == 0


def test_when_a_task_was_due() -> None:
    assert due_at(delivery("a").data) == CLOCK
    later = envelope.call_header("1", {"eta": 1_005_000})
    assert due_at(_with(*later)) == 1005.0
    assert due_at(_with(*envelope.call_header("1", {"flow": {"root": "a"}}))) == -1.0


def _with(call: bytes, flags: int) -> bytes:
    header = envelope.task_header("shop.a", "q", {})
    return envelope.Form(header, envelope.SYNC, 0, flags).encode(b"a", 1_000_000, call, b"")


def test_ends_are_told_the_last_one_first() -> None:
    again: Delivery = delivery("r")
    accounts = [told([delivery("c"), again], "XR"), told([delivery("a"), delivery("b")], "XX")]
    assert [account.id_of(each.head) for each in ends(accounts)] == [b"c", b"b", b"a"]
