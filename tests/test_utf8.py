"""Ids and names as text and as bytes."""

from __future__ import annotations

import pytest

from hotqueue import utf8


@pytest.mark.parametrize("raw", [b"", b"an-id", "ä\n€".encode(), bytes(range(256))])
def test_every_byte_survives(raw: bytes) -> None:
    assert utf8.raw(utf8.text(raw)) == raw
