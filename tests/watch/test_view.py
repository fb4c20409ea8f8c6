"""Cursor, marks, order and filter of a view, whatever it shows."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.watch.columns import Column, Row
from hotqueue.watch.view import View, having


class Letters(View):
    """A view of letters and numbers."""

    columns = (Column("letter", 5), Column("number", 5, is_number=True))
    has_all = True


def rows(letters: str) -> list[Row]:
    return [Row(each, ((each, ""), (str(n), "")), (each, n if each != "z" else None), each) for n, each in enumerate(letters)]


def shown(view: View) -> str:
    return "".join(row.key for row in view.rows)


def made(letters: str = "abcd") -> View:
    view = Letters()
    view.take(rows(letters))
    return view


def keys(facts: Sequence[str]) -> str:
    return "".join(facts)


def test_the_cursor_stays_on_what_it_is_on() -> None:
    view = made()
    view.move(2)
    view.take(rows("xabcd"))
    assert view.here is not None
    assert (view.here.key, view.index) == ("c", 3)
    view.take(rows("ab"))
    assert view.here.key == "b"
    view.take([])
    assert view.here is None
    assert view.targets() == []


def test_at_the_top_it_stays_at_the_top() -> None:
    view = made()
    view.take(rows("xabcd"))
    assert view.here is not None
    assert view.here.key == "x"


def test_it_does_not_leave_the_table() -> None:
    view = made()
    view.move(-5)
    assert view.index == 0
    view.move(10**9)
    assert view.index == 3


def test_what_is_marked_is_meant_else_what_is_at_the_cursor() -> None:
    view = made()
    view.move(1)
    assert keys(view.targets()) == "b"
    view.mark()
    view.mark()
    assert (keys(view.targets()), view.index) == ("bc", 3)
    view.take(rows("acd"))
    assert keys(view.targets()) == "c"
    view.mark_all()
    assert (view.marked, view.is_all) == (set(), False)
    view.mark_all()
    assert (keys(view.targets()), view.is_all) == ("acd", True)
    view.mark()
    assert not view.is_all


def test_sorting_goes_from_column_to_column_numbers_from_the_largest_down() -> None:
    view = made("bazc")
    order = []
    for turn in (False, True, False, True, False):
        view.sort(turn)
        order.append((shown(view), view.sort_by))
    assert order == [("abcz", 0), ("zcba", 0), ("cabz", 1), ("zbac", 1), ("zbac", None)]


def test_what_is_under_way_counts_for_nothing_once_a_filter_is_another() -> None:
    view = made()
    before = view.changes
    view.mark()
    view.set_filter("a")
    assert (view.changes, view.marked, view.index) == (before + 1, set(), 0)


def test_text_is_looked_for_in_all_cells_in_any_case() -> None:
    assert [row.key for row in having(rows("aBc"), "b")] == ["B"]
    assert [row.key for row in having(rows("aBc"), "2")] == ["c"]
