"""Scripts: package files as Redis gets them."""

from __future__ import annotations

import hashlib

import pytest

from hotqueue.store.scripts import load


def test_scripts_are_loaded_once_over_their_prelude() -> None:
    turn = load("hotqueue.messages.lua", "turn", "held")
    assert turn is load("hotqueue.messages.lua", "turn", "held")
    assert turn.text.startswith(b"-- Prelude")
    assert turn.text.endswith(b"return message\n")
    assert turn.sha == hashlib.sha1(turn.text).hexdigest().encode()
    with pytest.raises(FileNotFoundError):
        load("hotqueue.messages.lua", "no-such")
