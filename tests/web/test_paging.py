"""Lists that are longer than a page: which part is shown, and how it is sorted."""

from __future__ import annotations

import pytest

from hotqueue.web.paging import paged, sorted_by
from tests.web.test_page import view


@pytest.mark.parametrize(
    ("asked", "number", "first"),
    [("1", 1, 0), ("3", 3, 100), ("9", 3, 100), ("0", 1, 0), ("-1", 1, 0), ("x", 1, 0), ("9" * 5000, 1, 0), ("²", 1, 0)],
)
def test_a_page_is_one_that_there_is(asked: str, number: int, first: int) -> None:
    part = paged(view(query={"page": asked}), range(120))
    assert (part.number, part.pages, part.count, part.rows[0]) == (number, 3, 120, first)


def test_an_empty_list_has_one_page() -> None:
    part = paged(view(), [])
    assert (part.number, part.pages, part.rows) == (1, 1, [])


def test_rows_are_sorted_as_the_address_says() -> None:
    columns = {"name": lambda row: row[0], "size": lambda row: row[1]}
    rows = [("b", 1), ("a", 1), ("c", 9)]
    found, order = sorted_by(view(), rows, columns, "size")
    assert ([name for name, _ in found], order.mark("size"), order.query("size")) == (["c", "a", "b"], "descending", "size")
    found, order = sorted_by(view(query={"sort": "name"}), rows, columns, "size")
    assert ([name for name, _ in found], order.mark("name"), order.query("name"), order.query("size")) == (
        ["a", "b", "c"],
        "ascending",
        "-name",
        "-size",
    )
    found, order = sorted_by(view(query={"sort": "none"}), rows, columns, "size")
    assert order.by == "size"
