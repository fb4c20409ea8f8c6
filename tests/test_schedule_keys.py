"""Keys of schedules: where they are, and that keys.py hands them on."""

from __future__ import annotations

import inspect

from hotqueue import keys, schedule_keys


def test_keys_hands_all_of_them_on() -> None:
    public = {name: made for name, made in vars(schedule_keys).items() if inspect.isfunction(made) and not name.startswith("_")}
    assert {name: getattr(keys, name) for name in public} == public
    assert (keys.schedules("q"), keys.declarers("q")) == ("{hotqueue:q}:schedules", "{hotqueue:q}:schedules:declarers")
