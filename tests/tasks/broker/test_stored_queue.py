"""What every operation begins with: which bell is whose, and instants that stand as scores."""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker.stored_queue import FAR, instant
from tests.tasks.contents import Room


@pytest.mark.servers("server")
@pytest.mark.parametrize(("kind", "bell"), [("s", "bell"), ("a", "bell:async"), ("x", "bell")])
def test_each_kind_of_worker_has_its_bell(room: Room, kind: str, bell: str) -> None:
    room.broker.ring(kind)
    assert room.contents() == {bell: ["1"]}
    assert room.broker.bell_key(kind) == room.prefix + bell


@pytest.mark.parametrize(("score", "ms"), [(b"1700000000000", 1_700_000_000_000), (b"1.7e12", 1_700_000_000_000), (b"inf", FAR)])
def test_an_instant_is_finite_whatever_somebody_has_put_there(score: bytes, ms: float) -> None:
    assert instant(score) == ms
    assert instant(b"-inf") == -FAR
