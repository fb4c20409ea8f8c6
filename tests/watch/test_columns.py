"""Columns fit into what room there is."""

from __future__ import annotations

from hotqueue.watch.canvas import width_of
from hotqueue.watch.columns import Column, Row, layout

COLUMNS = (
    Column("name", 6, stretch=1),
    Column("count", 5, is_number=True),
    Column("more", 4, drop=1),
    Column("most", 4, drop=2),
)
ROW = Row("k", (("a name that is long", "bold"), ("12", ""), ("m", ""), ("n", "")), ("", 0, "", ""))


def test_columns_that_are_needed_least_are_left_out_first() -> None:
    assert [layout(COLUMNS, width).numbers for width in (40, 22, 17, 9)] == [(0, 1, 2, 3), (0, 1, 2), (0, 1), (0, 1)]


def test_the_room_that_is_left_goes_to_what_may_stretch() -> None:
    assert layout(COLUMNS, 40).widths == (6 + 15, 5, 4, 4)
    assert width_of(layout(COLUMNS, 40).line(ROW, is_marked=False, is_here=False)) == 40


def test_a_line_shows_what_is_cut_where_the_cursor_is_and_what_is_marked() -> None:
    found = layout(COLUMNS, 17)
    assert found.line(ROW, is_marked=False, is_here=False)[1] == ("a name …", "bold")
    assert found.line(ROW, is_marked=True, is_here=False)[0] == ("● ", "marked")
    assert found.line(ROW, is_marked=True, is_here=True) == (("● a name …    12 ", "cursor"),)


def test_where_there_is_no_room_even_so_the_widest_gives_way() -> None:
    found = layout(COLUMNS, 12)
    assert found.widths == (4, 5)
    assert width_of(found.line(ROW, is_marked=False, is_here=False)[:-1]) == 12


def test_the_title_says_by_what_it_is_sorted() -> None:
    assert "count▼" not in "".join(text for text, _ in layout(COLUMNS, 40).head(None, is_up=True))
    assert (" name▲", "sorted") in [(f" {text.strip()}", style) for text, style in layout(COLUMNS, 40).head(0, is_up=True)]
