"""Keys: what a queue's name may be, and that all keys of a queue are in one slot and lead back to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from redis.crc import key_slot

from hotqueue import ConfigError, keys

OF_A_QUEUE = [
    function
    for name, function in vars(keys).items()
    if inspect.isfunction(function)
    and not name.startswith("_")
    and name != "check_name"
    and next(iter(inspect.signature(function).parameters)) == "name"
]


@pytest.mark.parametrize("function", OF_A_QUEUE, ids=lambda function: function.__name__)
def test_every_key_of_a_queue_is_in_its_slot_and_names_it(function: Callable[..., str]) -> None:
    key = function("my:queue", *("x" for _ in list(inspect.signature(function).parameters)[1:]))
    assert keys.name_of(key) == "my:queue"
    assert key_slot(key.encode()) == key_slot(keys.queue("my:queue").encode())


def test_every_key_is_of_its_own() -> None:
    made = [function("q", *("x" for _ in list(inspect.signature(function).parameters)[1:])) for function in OF_A_QUEUE]
    assert len(set(made)) == len(made) > 20


@pytest.mark.parametrize("key", ["", "other", "{other}:x", "{hotqueue:q}", "session:{hotqueue:q}:x"])
def test_a_key_of_nobody_names_no_queue(key: str) -> None:
    assert keys.name_of(key) == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "non-empty str"),
        (None, "non-empty str"),
        (b"q", "non-empty str"),
        ("a{b}", "may not contain { or }"),
        ("\ud800", "UTF-8"),
        (SimpleNamespace(name="jobs"), "did you mean 'jobs'?"),
    ],
)
def test_what_cannot_be_a_name_is_refused(name: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keys.check_name(name, "queue=")
    assert str(caught.value).startswith("queue= ")
    assert said in str(caught.value)


def test_a_name_may_be_anything_else() -> None:
    assert keys.check_name("Grüße: 1/2 *") == "Grüße: 1/2 *"
