"""Keys of the dead list: where they are, and that keys.py hands them on."""

from __future__ import annotations

import inspect

from hotqueue import dead_keys, keys


def test_keys_hands_all_of_them_on() -> None:
    public = {name: made for name, made in vars(dead_keys).items() if inspect.isfunction(made) and not name.startswith("_")}
    assert {name: getattr(keys, name) for name in public} == public
    assert (keys.dead("q"), keys.discarded_tasks("q")) == ("{hotqueue:q}:dead", "{hotqueue:q}:discarded:tasks")
