"""Each key that keys.py makes has a type, by which an error about it can say what it should hold."""

from __future__ import annotations

import inspect

import pytest

from hotqueue import key_types, keys

MADE = {
    name: function
    for name, function in vars(keys).items()
    if inspect.isfunction(function)
    and not name.startswith("_")
    and (function.__doc__ or "").split(":")[0].split(" ")[0] in ("Hash", "Set", "Sorted", "List", "String")
}
KINDS = {"Hash": "hash", "Set": "set", "Sorted": "zset", "List": "list", "String": "string"}
OF_MESSAGES = {"consuming", "consumers", "consumer", "came_back", "dead_messages", "taken"}


@pytest.mark.parametrize("name", sorted(MADE.keys() - OF_MESSAGES))
def test_a_key_has_the_type_that_its_function_says(name: str) -> None:
    function = MADE[name]
    more = [0 if name == "done" else "x" for _ in list(inspect.signature(function).parameters)[1:]]
    assert key_types.type_of(function("q", *more)) == KINDS[(function.__doc__ or "").split(":")[0].split(" ")[0]]


def test_a_key_that_is_none_of_ours_has_none() -> None:
    assert key_types.type_of("{hotqueue:q}:whatever") is None
    assert key_types.type_of("session:1") is None


def test_what_there_is_one_of_has_a_type_as_well() -> None:
    of_messages = {b"consumers", b"came-back", b"dead-messages"}
    assert all(key_types.type_of(f"{{hotqueue:q}}:{thing.decode()}") for thing in set(key_types.SINGLE) - of_messages)
