"""Filters say what people mean: ages and times, names and globs, text in any case; and refuse what could mean two things."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hotqueue.monitor.filter_text import parse
from hotqueue.monitor.filters import STATES, Filter, Term, instant_of, state_of
from hotqueue.monitor.row import Row

NOW = 1_900_000_000_000


def row(**given: Any) -> Row:
    died = datetime.fromtimestamp(NOW / 1000 - 7200, UTC)
    args = "4, 'Olivenöl', x=[1, 42]"
    made = Row("4f00", "shop.price", "low", "dead", "", args, error="ValueError: no 3", retries=3, died=died, run=2.5)
    return replace(made, **given)


@pytest.mark.parametrize(
    ("text", "ago"), [("500ms", 500), ("90", 90_000), ("90s", 90_000), ("15m", 900_000), ("1.5h", 5_400_000), ("7d", 604_800_000)]
)
def test_an_age_is_an_instant_before_now(text: str, ago: int) -> None:
    assert instant_of(text, NOW) == NOW - ago


def test_a_time_has_to_say_its_zone() -> None:
    assert instant_of("2030-01-31T12:00:00Z", NOW) == instant_of("2030-01-31T13:00:00+01:00", NOW) == 1_896_091_200_000
    with pytest.raises(ValueError, match=r"no time zone; write 2030-01-31T12:00:00\+00:00"):
        instant_of("2030-01-31T12:00:00", NOW)
    with pytest.raises(ValueError, match="'soon' is no time; write 90s"):
        instant_of("soon", NOW)


def test_a_state_is_one_of_some() -> None:
    assert [state_of(each) for each in STATES] == list(STATES)
    with pytest.raises(ValueError, match="did you mean 'running'"):
        state_of("runing")
    with pytest.raises(ValueError, match="there are running, waiting"):
        state_of("xyz")


@pytest.mark.parametrize(
    ("text", "shown", "is_met"),
    [
        ("", row(), True),
        ("task:shop.*", row(), True),
        ("task:shop", row(), False),
        ("task:shop[1]", row(task="shop[1]"), True),  # a name is a name first
        ("task:mail task:shop.price", row(), True),  # of several names one
        ("task:mail,shop.price", row(), True),
        ("-task:mail,shop.price", row(), False),
        ("task:shop.price -queue:low", row(), False),
        ("-queue:high state:dead", row(), True),
        ("id:4f*", row(), True),
        ("worker:w*", row(), False),  # what is not known is not so
        ("-worker:w*", row(), True),
        ("arg:4", row(), True),
        ("arg:2", row(), False),  # no word of its own
        ("arg:*2*", row(), True),
        ("arg:olivenÖL", row(), True),
        ("arg:x=[1", row(), True),
        ('arg:"[1, 42]"', row(), True),
        ("arg:a*b*d", row(args="('a', 'bc', 'xd', 'd')"), True),  # the last where it is a word's end
        ("arg:a*d*b", row(args="('a', 'bc', 'xd', 'd')"), False),
        ("arg:" + "*a" * 20 + "*b", row(args="a" * 400), False),  # and says so at once
        ("error:NO", row(), True),
        ("ÖL", row(), True),
        ("price valueerror", row(), True),
        ("price -valueerror", row(), False),
        ("age:>1h failed:>1h failed:<3h", row(), True),
        ("failed:>3h", row(), False),
        ("failed:>1h", row(died=None), False),
        ("due:<10m", row(due=datetime.fromtimestamp(NOW / 1000 + 300, UTC)), True),
        ("due:>10m", row(due=datetime.fromtimestamp(NOW / 1000 + 300, UTC)), False),
        ("failed:>2030-03-17T16:00:00Z", row(), False),  # NOW is 17:46 of that day
        ("failed:<2030-03-17T16:00:00Z", row(), True),
        ("retries:>2 retries:<4 retries:3", row(), True),
        ("priority:>-1", row(), True),
        ("deaths:>0", row(), False),
        ("run:>2s", row(), True),
        ("run:<500ms", row(), False),
    ],
)
def test_a_task_is_wanted_if_all_that_is_said_is_so(text: str, shown: Row, is_met: bool) -> None:
    assert parse(text).is_met_by(shown, NOW) is is_met


def test_names_are_chosen_before_any_task_is_read() -> None:
    assert parse("state:dead,waiting -state:waiting").names("state", STATES) == ["dead"]
    assert parse("-queue:t-*").names("queue", ["a", "t-1"]) == ["a"]
    assert parse("task:x").names("queue", ["a", "t-1"]) == ["a", "t-1"]


def test_what_one_field_alone_says() -> None:
    assert parse("task:mail").only("task") == "mail"
    assert [parse(text).only("task") for text in ("task:m*", "-task:a", "task:a x", "", "queue:a")] == [""] * 5
    assert parse("task:mail x").one("task") == "mail"
    assert parse("task:mail,b").one("task") == ""
    assert parse("state:dead x").but("state", ["parked"]) == Filter((Term("text", "x"), Term("state", "parked")))
    assert Filter().is_any
    assert not parse("x").is_any
