"""What is typed is completed with fields, states and names that occur."""

from __future__ import annotations

import asyncio

import pytest

from hotqueue.watch.filter_bar import Completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ta", "task:"),
        ("task:sh", "task:shop.mail "),
        ("-queue:lo state:de", "-queue:lo state:dead "),
        ("", None),
        ("task:mail ", None),
        ("nothing", None),
    ],
)
def test_a_term_is_completed(typed: str, offered: str | None) -> None:
    known = {"task": ["shop.mail", "other"], "queue": ["low"]}
    assert asyncio.run(Completion(lambda: known).get_suggestion(typed)) == offered
