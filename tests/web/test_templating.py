"""Numbers, sizes and times as pages write them; every file that pages link to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hotqueue.web import templating


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (0.0004, "400 µs"),
        (4e-5, "40 µs"),
        (0.25, "250 ms"),
        (1.25, "1.2 s"),
        (3, "3 s"),
        (59, "59 s"),
        (60, "1 min"),
        (75, "1 min 15 s"),
        (100, "1 min 40 s"),
        (725, "12 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (9e6, "104 d"),
    ],
)
def test_spans_of_time(seconds: float | None, shown: str) -> None:
    assert templating.span(seconds) == shown


def test_numbers_and_sizes() -> None:
    assert [templating.number(n) for n in (None, 0, 1234567, 0.25, 12.34)] == ["–", "0", "1\u202f234\u202f567", "0.25", "12.3"]
    assert [templating.size(n) for n in (None, 9, 2048, 5 * 2**20, 3 * 2**40, 2**50)] == [
        "–",
        "9 B",
        "2.0 KB",
        "5.0 MB",
        "3.0 TB",
        "1024.0 TB",
    ]
    assert templating.plural(1, "task") == "1 task"
    assert templating.plural(2, "entry", "entries") == "2 entries"
    assert templating.short("x" * 99, 10) == "x" * 9 + "…"


def test_moments() -> None:
    now = datetime.now(UTC)
    assert templating.ago(now - timedelta(seconds=90)) == "1 min ago"
    assert templating.until(now + timedelta(seconds=90)) == "in 1 min"
    assert (templating.ago(None), templating.until(None), templating.moment(None), templating.iso(None)) == ("–", "–", "–", "")
    assert (templating.until(now), templating.ago(now), templating.age(now)) == ("now", "now", "0")


def test_scripts_are_small_and_all_files_are_there() -> None:
    assert sum(len(templating.static(name)[0]) for name in templating.STATIC if name.endswith(".js")) <= 15_000
    assert all(len(templating.version_of(name)) == 12 for name in templating.STATIC)
