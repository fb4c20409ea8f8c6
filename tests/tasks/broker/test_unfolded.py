"""What waits to be folded in is counted under the names under which it will be, as many as there is room for."""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker import unfolded
from hotqueue.tasks.broker.unfolded import ALL, OTHER, Numbers, Unfolded, names_in


def test_names_beyond_those_there_is_room_for_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolded, "MOST_NAMES", 2)
    waiting = Unfolded(b"0", ["a"], 0, [], {b"1:a": 1, b"1:b": 2, b"1:c": 3, b"1:d": 4})
    found = {name: tally.counts["enqueued"] for (name, step, _), tally in waiting.spans().items() if step == 60}
    assert found == {ALL: 10, "a": 1, "b": 2, OTHER: 7}
    assert waiting.names == ["a"]


def test_all_tasks_together_are_what_they_are_by_name() -> None:
    waiting = Unfolded(b"0", ["a"], 0, [], {b"1:a": 1, b"1:b": 2, b"59:b": 3, b"61:a": 4})
    for step in (60, 3600):
        by_name = {span: tally for (name, its_step, span), tally in waiting.spans().items() if (name, its_step) == (ALL, step)}
        assert waiting.together(step) == by_name
    assert {span: tally.counts for span, tally in waiting.together(3600).items()} == {0: {"enqueued": 6}, 1: {"enqueued": 4}}
    assert Unfolded(b"0", ["a"], 0).together(60) == {}


def test_numbers_of_names_stay_as_they_are() -> None:
    names = names_in(b"a\nb")
    numbers = Numbers(names)
    assert [numbers.of(name) for name in (ALL, "b", "a", "c", "c")] == [0, 2, 1, 3, 3]
    assert (names, numbers.name_of(ALL), numbers.name_of("c")) == (["a", "b", "c"], ALL, "c")
