"""What a run says of itself: lines are kept up to a number and a size, and are read whatever stands there."""

from __future__ import annotations

import json

import pytest

from hotqueue.tasks.wire.run_reports import BYTES, LINES, LONGEST, Lines


def test_the_last_lines_are_kept() -> None:
    lines = Lines()
    for n in range(LINES + 30):
        lines.add((n + 1, 1, f"line {n}"))
    assert (len(lines.all), lines.dropped, lines.all[-1]) == (LINES, 30, (LINES + 30, 1, f"line {LINES + 29}"))
    again = Lines(lines.encode().encode())
    assert (again.all, again.dropped) == (lines.all, 30)


def test_and_no_more_than_a_few_kilobytes_of_them() -> None:
    lines = Lines()
    for n in range(50):
        lines.add((n, 1, "ä" * 700))
    assert len(lines.encode()) <= BYTES + 200
    assert lines.all[-1][0] == 49
    lines.add((50, 2, "ä" * (LONGEST + 1)))  # one is kept, however long
    assert [line[:2] for line in lines.all] == [(50, 2)]
    assert lines.dropped == 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"lines": 5, "dropped": "x"}',
        b'{"lines": [5, [], [1, 2], [1, 1, 5], ["1", 1, "x"], [true, 1, "x"], {"a": 1}], "dropped": -1}',
    ],
)
def test_what_is_no_line_is_left_out(data: bytes) -> None:
    assert (Lines(data).all, Lines(data).dropped) == ([], 0)


def test_of_what_somebody_else_has_written_no_more_is_read() -> None:
    data = json.dumps({"lines": [[n, 1, "x" * 5000] for n in range(500)], "dropped": 3}).encode()
    lines = Lines(data)
    assert len(lines.encode()) <= BYTES + 200
    assert all(len(text) <= LONGEST + 1 for _, _, text in lines.all)
