"""A row says when it counts as being from, and what JSON has of it."""

from __future__ import annotations

from datetime import UTC, datetime

from hotqueue.monitor.row import Row, moment_of


def test_a_row_is_as_old_as_what_last_happened_to_it() -> None:
    sent, over = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
    assert Row("a", "t", "q", "waiting", sent=sent).at == sent.timestamp() * 1000
    assert Row("a", "t", "q", "dead", sent=sent, died=over).at == over.timestamp() * 1000
    assert Row("a", "t", "q", "ended", sent=sent, ended=over).at == over.timestamp() * 1000
    assert Row("a", "t", "q", "waiting").at == 0


def test_a_row_is_plain_in_json() -> None:
    found = Row("a", "t", "q", "ended", ended=datetime(2030, 1, 1, tzinfo=UTC), run=0.5).as_json()
    assert (found["ended"], found["run"], found["started"]) == ("2030-01-01T00:00:00.000+00:00", 0.5, None)


def test_what_no_calendar_has_is_no_moment() -> None:
    assert moment_of(0) is moment_of(-5) is moment_of(1e30) is None
    assert moment_of(1000) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
