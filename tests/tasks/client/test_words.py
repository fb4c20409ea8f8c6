"""Parts of sentences: instants, durations, and what keeps a gate shut."""

from __future__ import annotations

import pytest

from hotqueue.tasks.broker.gates import AtGate
from hotqueue.tasks.client import words


def test_durations_and_instants() -> None:
    assert [words.span(seconds) for seconds in (0.04, 3.21, 119.9, 120, 7200, 90_000_000)] == [
        *("0.0 s", "3.2 s", "119.9 s", "2 min", "2 h", "25,000 h"),
    ]
    assert words.time_text(1_000_000_000_123) == "2001-09-09 01:46:40 UTC"


@pytest.mark.parametrize(
    ("gate", "reason", "text"),
    [
        (
            AtGate("c", "k:a", 2, 5, 0, -1, 0, 0, list("wxyz")),
            "concurrency",
            "max_concurrency=2 of key 'a' is used up, by w, x, y and others",
        ),
        (AtGate("c", "t:mail", 1, 0, 0, -1, 0, 0, []), "concurrency", "max_concurrency=1 of task mail is used up"),
        (
            AtGate("r", "t:mail", 9, 9, 60_000, 3210, 0, 0, []),
            "rate_limit",
            "rate_limit= of task mail, 9 in 60 s, is used up: opens in 3.2 s",
        ),
        (
            AtGate("r", "k:a", 9, 0, 500, -1, 0, 0, []),
            "rate_limit",
            "rate_limit= of key 'a', 9 in 0.5 s, is used up: those that may start are not fetched yet",
        ),
        (AtGate("f", "k:a", 0, 0, 0, -1, 0, 1, []), "fair_turn", "key 'a' waits for its turn, behind 1 other key"),
        (AtGate("p", "k:a", 0, 0, 0, -1, 0, 0, []), "paused", "key 'a' is paused at queue 'q'"),
    ],
)
def test_what_keeps_a_gate_shut(gate: AtGate, reason: str, text: str) -> None:
    assert words.of_gate(gate, "q")[:2] == (reason, text)
