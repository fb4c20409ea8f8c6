"""The lines around the table say what is wrong before all else, and fit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hotqueue.monitor.crowd import QueueFacts, ServerFacts
from hotqueue.monitor.snapshot import Snapshot
from hotqueue.monitor.warnings import BAD, Warning
from hotqueue.watch import status
from hotqueue.watch.canvas import Line, width_of
from hotqueue.watch.pulse import Beat, Pulse
from hotqueue.watch.queues import Queues
from hotqueue.watch.task_lists import TaskLists

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
SNAPSHOT = Snapshot(
    *(NOW, "redis://h:6379/0", ServerFacts("Redis 7.0.15", 12_000_000, 100_000_000)),
    (QueueFacts("mail", unfinished=1203, ready=1200, dead=4),),
    warnings=(Warning(BAD, "1 200 tasks wait in mail, and there is no worker", "mail", "start one"), Warning(BAD, "more")),
)


def text(line: Line) -> str:
    return "".join(part for part, _ in line)


def test_the_top_says_where_and_what() -> None:
    said = text(status.top("redis://h:6379/0", SNAPSHOT, 90))
    assert "redis://h:6379/0  Redis 7.0.15  12 MB of 100 MB" in said
    assert said.endswith(" UTC ")
    assert "Redis" not in text(status.top("redis://h:6379/0", SNAPSHOT, 50))


def test_sums() -> None:
    pulse = Pulse({"mail": Beat((1, 2), 12.0, 200, 1)})
    line = status.sums(SNAPSHOT, pulse, 100)
    assert "1200 waiting  3 running  0 later  4 dead  12 done/s  0.5% failed" in text(line)
    assert (" 1200", "bad") in line  # since there is no worker
    assert "0 of 0 workers busy" in text(line)


def test_what_was_done_comes_before_the_filter_and_that_before_warnings() -> None:
    view = TaskLists()
    assert "1 200 tasks wait in mail, and there is no worker (and 1 more); start one" in text(
        status.message("", False, view, SNAPSHOT, 100)
    )
    view.filter = "task:mail"
    assert text(status.message("", False, view, SNAPSHOT, 100)).rstrip() == " /task:mail"
    assert status.message("2 retried", True, view, SNAPSHOT, 100) == ((" 2 retried".ljust(100), "bad"),)


def test_a_store_that_is_away_is_said_to_be_since_when() -> None:
    said = text(status.away("Connection refused", 12.3, SNAPSHOT, 100))
    assert "away since 12s; this is how it was at 12:00:00: Connection refused" in said


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    views = [Queues(Pulse()), TaskLists()]
    lines = [
        status.away("Connection refused " * 9, 1.0, SNAPSHOT, width),
        status.message("", False, views[1], SNAPSHOT, width),
        status.keys(views[1], width),
    ]
    assert max(map(width_of, lines)) <= width
