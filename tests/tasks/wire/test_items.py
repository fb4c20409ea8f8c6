"""Batches of items on the wire: read as they were written, refused when they were not ours, or stand for another."""

from __future__ import annotations

import pytest

from hotqueue.errors import SerializationError, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.wire import items

SIGNER = Signer([b"a key"])
SOME = [b"", b"one", b"x" * 100_000]


@pytest.mark.parametrize("signer", [None, SIGNER], ids=["plain", "signed"])
@pytest.mark.parametrize("batch", [[], [b"one"], SOME])
def test_a_batch_is_read_as_it_was_written(signer: Signer | None, batch: list[bytes]) -> None:
    assert items.decode(items.encode(batch, "id", 7, 9, signer), "id", 7, 9, signer) == batch


@pytest.mark.parametrize(
    "data", [b"", b"\1", b"\2\0\0\0\0", b"\1\0\0\0\2\0\0\0\1", b"\1\0\0\0\1\0\0\0\5abc", b"\1\xff\xff\xff\xff"]
)
def test_what_is_no_batch_is_refused(data: bytes) -> None:
    with pytest.raises(SerializationError, match="a batch of the stream of id cannot be read: it starts with"):
        items.decode(data, "id", 1, 1)


@pytest.mark.parametrize("place", [("other", 7, 9), ("id", 8, 9), ("id", 7, 10)])
def test_a_signed_batch_stands_for_no_other(place: tuple[str, int, int]) -> None:
    with pytest.raises(SignatureError):
        items.decode(items.encode(SOME, "id", 7, 9, SIGNER), *place, SIGNER)


@pytest.mark.parametrize("data", [b"", items.encode(SOME, "id", 7, 9), items.encode(SOME, "id", 7, 9, Signer([b"another"]))])
def test_an_unsigned_batch_is_refused_where_there_is_a_key(data: bytes) -> None:
    with pytest.raises(SignatureError):
        items.decode(data, "id", 7, 9, SIGNER)
