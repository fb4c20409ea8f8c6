"""Filters say what people mean: ages and times, names and globs, text in any case; and refuse what could mean two things."""

from __future__ import annotations

import pytest

from hotqueue.monitor.filters import STATES, Wanted, instant_of, state_of

NOW = 1_900_000_000_000


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
    with pytest.raises(ValueError, match="there are running,waiting"):
        state_of("xyz")


def test_a_task_is_wanted_if_all_that_is_said_is_so() -> None:
    assert Wanted().is_any
    assert Wanted().is_met_by("a", 5)
    assert Wanted(task="shop.*").is_met_by("shop.price", 5)
    assert Wanted(task="shop[1]").is_met_by("shop[1]", 5)  # a name is a name first
    assert not Wanted(task="shop").is_met_by("shop.price", 5)
    assert [Wanted(since=5, older=7).is_met_by("a", at) for at in (4, 5, 6, 7)] == [False, True, True, False]
    assert Wanted(match="ÖL").is_met_by("a", 5, "id", "olivenöl")
    assert not Wanted(match="oil", since=5).is_met_by("oil", 4)


def test_it_says_what_is_wanted() -> None:
    assert str(Wanted("a", 0, 1000, "x")) == (
        "task a, since 1970-01-01T00:00:00+00:00, older than 1970-01-01T00:00:01+00:00, that match 'x'"
    )
