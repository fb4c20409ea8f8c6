"""The page of a task has all that is known of it, in what room there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hotqueue.monitor.one_task import Event, Logged, OneTask
from hotqueue.watch import one_task
from hotqueue.watch.canvas import width_of

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
TASK = OneTask(
    *("4f2a", "mail", "shop.mail", "dead", "FAILURE", "4, text='" + "long " * 40 + "'"),
    error="builtins.ValueError",
    message="no such\x1b[2J account",
    traceback="Traceback (most recent call last):\n  File x\nValueError: no such account " + "x" * 100,
    retries=3,
    attempts=4,
    timeline=[Event(NOW, "sent"), Event(NOW + timedelta(seconds=90), "failed", "ValueError: no such account")],
    log=[Logged(NOW, 1, "half done"), Logged(NOW + timedelta(seconds=60), 2, "all\x1b[2J done\nor nearly " + "so " * 40)],
    log_dropped=1,
    workflow={"id": "w1", "steps": 3, "parents": [{"id": "p1", "task": "shop.load"}], "children": []},
)


def texts(width: int) -> list[str]:
    return ["".join(text for text, _ in line) for line in one_task.lines(TASK, width)]


def test_it_shows_what_happened_when() -> None:
    text = "\n".join(texts(80))
    assert "2030-01-31 12:00:00 UTC" in text
    assert "  +90s  failed: ValueError: no such account" in text
    assert "attempts   4" in text
    assert "\nlog\n1 line before these not kept\n2030-01-31 12:00:00 UTC  #1  half done\n2030-01-31 12:01:00 UTC  #2  all" in text
    assert text.index("or nearly") < text.index("workflow w1")
    assert "workflow w1, 3 steps" in text
    assert "behind     shop.load[p1]" in text


def test_nothing_happens_before_what_it_follows() -> None:
    events = [Event(NOW + timedelta(seconds=0.4), "started"), Event(NOW, "error", "OSError")]
    lines = one_task.lines(OneTask("1", "q", "t", "dead", timeline=events), 80)
    assert any("   +0s  error: OSError" in "".join(text for text, _ in line) for line in lines)


def test_no_line_is_wider_than_the_screen_and_nothing_is_lost() -> None:
    for width in (44, 80):
        assert max(width_of(line) for line in one_task.lines(TASK, width)) <= width
        assert "".join(texts(width)).count("long") == 40
        assert "".join(texts(width)).count("so") == 40
        assert "".join(texts(width)).count("x" * 20) >= 1


def test_nothing_of_it_moves_the_cursor() -> None:
    assert not any("\x1b" in text for text in texts(80))
    assert any("\\x1b[2J" in text for text in texts(80))


def test_of_one_attempt_the_number_is_not_said() -> None:
    lines = one_task.lines(OneTask("1", "q", "t", "running", log=[Logged(NOW, 1, "half done")]), 80)
    assert "".join(text for text, _ in lines[-1]) == "2030-01-31 12:00:00 UTC  half done"


def test_what_is_not_there_takes_no_line() -> None:
    assert [line[0][0].strip() for line in one_task.lines(OneTask("1", "q", "t", "waiting"), 80)] == [
        "task",
        "id",
        "queue",
        "state",
    ]
