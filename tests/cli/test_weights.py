"""What -Q names: queues, and how many turns each has."""

from __future__ import annotations

import click
import pytest

from hotqueue.cli.worker import weights_of


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("a", {"a": 1}),
        ("a,b", {"a": 1, "b": 1}),
        (" a:3 , b ,", {"a": 3, "b": 1}),
        ("b,a:100", {"b": 1, "a": 100}),
        ("mail:old", {"mail:old": 1}),
        ("mail:old:2", {"mail:old": 2}),
        ("mail:20:1", {"mail:20": 1}),
        ("a::1", {"a:": 1}),
        ("a:x3", {"a:x3": 1}),
        ("a,b,a", {"a": 1, "b": 1}),
        (" , ", {}),
    ],
)
def test_names_and_weights(text: str, weights: dict[str, int]) -> None:
    found = weights_of(text)
    assert found == weights
    assert list(found) == list(weights)  # they take turns in this order


@pytest.mark.parametrize("text", ["a:0", "a:-1", "a:+1", "a:1.5", "a:101", "a:" + "9" * 5000, "a:", ":", ":3", "b,a:0"])
def test_a_weight_that_is_none(text: str) -> None:
    with pytest.raises(
        click.UsageError, match=r"^-Q '.*: the weight of a queue is a whole number from 1 to 100, such as \w+:3 \(a name"
    ):
        weights_of(text)


def test_two_weights_for_one_queue() -> None:
    with pytest.raises(click.UsageError, match="-Q names queue 'a' twice, with weights 3 and 1; give it one"):
        weights_of("a:3,b,a")
