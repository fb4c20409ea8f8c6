"""The help says what each view is, and what its keys do."""

from __future__ import annotations

from hotqueue.watch import help as help_page
from hotqueue.watch.schedules import Schedules
from hotqueue.watch.task_lists import TaskLists


def test_it_has_keys_views_and_filters() -> None:
    text = "\n".join("".join(part for part, _ in line) for line in help_page.lines([TaskLists(), Schedules()], 80))
    assert "sort by the next column" in text
    assert "1 Tasks" in text
    assert "2 Schedules" in text
    assert "throw dead tasks away (asks)" in text
    assert 'task:mail -queue:low state:dead failed:>1h arg:"4"' in text
    assert max(map(len, text.splitlines())) < 100
