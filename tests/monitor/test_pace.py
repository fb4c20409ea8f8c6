"""Work that nobody waits for rests as long as it worked; what somebody waits for does not."""

from __future__ import annotations

import time

import pytest

from hotqueue.monitor.pace import LONGEST, Pace


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_it_rests_as_long_as_it_worked_and_not_for_longer_than_a_moment(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace()
    for worked in (0.02, 0.05, 5.0):
        now[0] += worked
        pace()
    assert rests == pytest.approx([0.02, 0.05, LONGEST])


def test_while_somebody_waits_it_does_not_rest(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(1.0)
    for _ in range(3):
        now[0] += 0.4
        pace()
    assert rests == [LONGEST]
