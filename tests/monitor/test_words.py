"""Ages, spans, moments and sizes in words; and nothing in a text that moves the cursor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hotqueue.monitor import words


def test_times_and_sizes_in_words() -> None:
    now = datetime.now(UTC)
    assert [words.ago(now - timedelta(seconds=s)) for s in (0, 90, 600, 7200, 5 * 86400)] == ["0s", "90s", "10m", "2h", "5d"]
    assert words.ago(now + timedelta(seconds=600.9)) == "in 10m"
    assert (words.ago(None), words.moment(None), words.size(None)) == ("", "", "")
    assert [words.size(each) for each in (5, 200_000, 45_000_000)] == ["5 B", "0.2 MB", "45 MB"]
    assert words.moment(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2030-01-02 03:04:05 UTC"


def test_nothing_in_a_text_moves_the_cursor() -> None:
    assert words.printable("naïve 日本") == "naïve 日本"
    assert words.printable("a\x1b[2Jb\n\u202e") == "a\\x1b[2Jb\\n\\u202e"
