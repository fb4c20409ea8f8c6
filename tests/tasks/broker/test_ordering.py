"""Orders to programs of workers stand beside those to end tasks: each sweep shows them; they are struck, or lapse."""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker import ordering
from hotqueue.tasks.broker.ordering import QUIET, STOP
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def test_an_order_is_for_one_program() -> None:
    order = ordering.order_of(STOP, "host-1-ab")
    assert ordering.is_order(order)
    assert not ordering.is_order("an-id")
    assert ordering.verb_for(order, "host-1-ab") == STOP
    assert ordering.verb_for(order, "host-1-a") == ""
    assert ordering.verb_for(ordering.order_of(QUIET, "p"), "p") == QUIET


def test_a_sweep_shows_it_until_it_is_struck(room: Room) -> None:
    order = ordering.order_of(STOP, "host-1-ab")
    room.broker.order(order, 5000)
    survey = room.broker.sweep(1000, [])
    assert list(survey.stops) == [order]
    assert not ordering.has_lapsed(survey.stops[order], survey.now)
    assert ordering.has_lapsed(survey.stops[order], survey.now + 60_000)
    assert ordering.has_lapsed(b"junk", survey.now)
    assert room.broker.has_order(order)
    assert room.broker.strike_order(order)
    assert not room.broker.has_order(order)
    assert not room.broker.strike_order(order)
    assert room.contents() == {}
