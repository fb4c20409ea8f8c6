"""A process says once that a server is away, and once that it is back, however many of its workers notice."""

from __future__ import annotations

from hotqueue.store.translation import FULL
from hotqueue.tasks.worker.outages import Outages

ONE, OTHER, THIRD = "one worker", "another", "a third"


def test_the_first_to_notice_says_so_and_the_last_that_it_is_over() -> None:
    outages = Outages()
    assert [outages.begin("here", who, "refused") for who in (ONE, OTHER, ONE)] == [True, False, False]
    assert [outages.end("here", who) for who in (ONE, ONE, OTHER)] == [False, False, True]
    assert outages.begin("here", OTHER, "refused"), "the next outage is said again"


def test_who_noticed_nothing_ends_nothing() -> None:
    outages = Outages()
    assert not outages.end("here", ONE)
    outages.begin("here", ONE, "refused")
    assert not outages.end("here", OTHER)
    assert outages.end("here", ONE)


def test_each_server_has_outages_of_its_own() -> None:
    outages = Outages()
    assert [outages.begin(where, ONE, "refused") for where in ("here", "there")] == [True, True]
    assert outages.end("there", ONE)
    assert not outages.begin("here", OTHER, "refused")


def test_a_worker_that_has_left_is_waited_for_no_more() -> None:
    outages = Outages()
    for where, who in (("here", ONE), ("here", OTHER), ("there", ONE)):
        outages.begin(where, who, "refused")
    outages.forget(ONE)
    assert outages.end("here", OTHER)
    assert outages.begin("there", THIRD, "refused")


def test_one_that_had_an_answer_meanwhile_says_what_else_keeps_it_from_the_server_and_says_that_once() -> None:
    outages = Outages()
    outages.begin("here", ONE, "closed")
    outages.begin("here", OTHER, "closed")
    outages.end("here", ONE)
    assert not outages.begin("here", ONE, "closed")
    outages.end("here", ONE)
    assert outages.begin("here", ONE, "too many clients")
    outages.end("here", ONE)
    assert not outages.begin("here", ONE, "too many clients")
    assert not outages.begin("here", OTHER, "something else")


def test_that_a_server_is_full_is_said_once_though_a_closed_connection_was_said_before() -> None:
    outages = Outages()
    assert outages.begin("here", ONE, "closed")
    assert outages.begin("here", ONE, f"waiting: {FULL}")
    assert not outages.begin("here", OTHER, f"fetching: {FULL}")
    assert not outages.begin("here", ONE, "closed")
