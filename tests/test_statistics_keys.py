"""Keys of statistics: where they are, and that keys.py hands them on."""

from __future__ import annotations

import inspect

from hotqueue import keys, statistics_keys


def test_keys_hands_all_of_them_on() -> None:
    public = {name: made for name, made in vars(statistics_keys).items() if inspect.isfunction(made) and name[0] != "_"}
    assert {name: getattr(keys, name) for name in public} == public
    assert (keys.accounts("q"), keys.statistics("q")) == ("{hotqueue:q}:accounts", "{hotqueue:q}:statistics")
