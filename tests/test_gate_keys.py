"""Keys of gates and lanes: where they are, and that keys.py hands them on."""

from __future__ import annotations

import inspect

from hotqueue import gate_keys, keys


def test_keys_hands_all_of_them_on() -> None:
    public = {name: made for name, made in vars(gate_keys).items() if inspect.isfunction(made) and not name.startswith("_")}
    assert {name: getattr(keys, name) for name in public} == public
    assert keys.lane("q", "k:x\nf k:y") == "{hotqueue:q}:lane:k:x\nf k:y"
    assert keys.paused_keys("q") == "{hotqueue:q}:paused:keys"
