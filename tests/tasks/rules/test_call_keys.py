"""Keys that templates and callables make of a call's arguments, whatever they are for; how they are refused: test_gates.py.

Of this kind: arguments by position, by name, by default, and such as no signature names; what makes no key.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hotqueue.tasks.rules.call_keys import Key, check_fields, check_key, key_of


def call(tenant: Any, amount: int = 1, *rest: Any, **more: Any) -> None:
    """Stand for a task."""


SIGNATURE = inspect.signature(call)


@pytest.mark.parametrize(
    ("key", "args", "kwargs", "made"),
    [
        ("{tenant}/{amount}", (7,), {}, b"7/1"),
        ("{colour}", (7,), {"colour": "red"}, b"red"),
        ("all of them", (7,), {}, b"all of them"),
        (lambda tenant, amount, *_: f"{tenant}:{amount % 3}", (7, 5), {}, b"7:2"),
    ],
)
def test_it_is_made_of_the_bound_arguments(key: Key, args: Any, kwargs: Any, made: bytes) -> None:
    assert key_of(check_key(key, "what="), SIGNATURE, args, kwargs, "what=") == made


def test_an_error_says_for_what_it_was_to_be() -> None:
    with pytest.raises(ValueError, match=r"shop\.mail: fair_key= makes 1 to 200 bytes"):
        key_of("{tenant}", SIGNATURE, ("",), {}, "shop.mail: fair_key=")
    with pytest.raises(TypeError, match="fair_key= takes a template"):
        check_key(7, "fair_key=")
    with pytest.raises(TypeError, match="fair_key= names 'tenant', which sensitive= hides"):
        check_fields("{tenant}", SIGNATURE, ["tenant"], "fair_key=")
