"""What a row says is made once, for the span that it is of alone; and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hotqueue.monitor import known_spans
from hotqueue.monitor.known_spans import KnownSpans
from hotqueue.tasks.rules.tally import Tally

ROW = Tally({"succeeded": 3}, run={5: 3}, run_total=90).encode(100)


def test_the_same_row_is_the_same_span() -> None:
    known = KnownSpans()
    found = known.span(60, 100, ROW)
    assert (found.at, found.counts["succeeded"], found.run.count) == (datetime(1970, 1, 1, 1, 40, tzinfo=UTC), 3, 3)
    assert known.span(60, 100, ROW) is found
    assert known.span(60, 100, Tally({"succeeded": 4}).encode(100)).counts["succeeded"] == 4


def test_it_says_nothing_of_another_span_in_whose_place_it_stands() -> None:
    known = KnownSpans()
    for _ in range(2):
        assert known.span(60, 100, ROW).counts["succeeded"] == 3
        assert (known.span(60, 221, ROW).counts["succeeded"], known.span(60, 100, b"").counts["succeeded"]) == (0, 0)
        assert known.span(3600, 100, ROW).at == datetime(1970, 1, 5, 4, tzinfo=UTC)


def test_what_is_not_in_the_row_yet_is_added_and_not_kept() -> None:
    known = KnownSpans()
    assert known.span(60, 100, ROW, Tally({"succeeded": 2})).counts["succeeded"] == 5
    assert len(known) == 0
    assert known.span(60, 100, ROW).counts["succeeded"] == 3


def test_so_many_are_kept_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_spans, "KEPT", 10)
    known = KnownSpans()
    often = known.span(60, 100, ROW)
    for number in range(200, 300):
        assert known.span(60, 100, ROW) is often
        known.span(60, number, b"")
        assert len(known) <= 20
