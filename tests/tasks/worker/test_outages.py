"""Which servers are known to be away: the first that notices says so, the last that hears from it says that it is back."""

from __future__ import annotations

from hotqueue.tasks.worker.outages import Outages


def test_the_first_says_that_it_is_away_and_the_last_that_it_is_back() -> None:
    outages = Outages()
    assert [outages.begin("server", who) for who in ("one", "two", "two")] == [True, False, False]
    assert [outages.end("server", who) for who in ("one", "one", "two")] == [False, False, True]
    assert outages.begin("server", "one"), "the next outage is another one"


def test_servers_are_apart() -> None:
    outages = Outages()
    assert outages.begin("one", "who")
    assert outages.begin("other", "who")
    assert not outages.end("elsewhere", "who")
    assert outages.end("one", "who")


def test_who_has_left_is_not_waited_for() -> None:
    outages = Outages()
    outages.begin("server", "leaves")
    outages.begin("server", "stays")
    outages.forget("leaves")
    assert outages.end("server", "stays")
