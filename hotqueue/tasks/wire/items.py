"""Items: what a task that streams has yielded, in batches. Encode and decode; never unpickles.

``version, number, length of each | items, pickled [| signature]``. A signature covers the task's id, the attempt and where the
batch ends as well, so that no batch can stand in for another.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hotqueue import keys
from hotqueue.errors import SerializationError, SignatureError
from hotqueue.signing import SIGNATURE_BYTES, Signer

_HEAD = struct.Struct(">BI")
_VERSION = 1


def encode(items: Sequence[bytes], task_id: str, attempt: int, end: int, signer: Signer | None = None) -> bytes:
    """Return the batch of some items.

    Args:
        end: the number of the item behind the last of them.
    """
    lengths = struct.pack(f">{len(items)}I", *map(len, items))
    body = b"".join([_HEAD.pack(_VERSION, len(items)), lengths, *items])
    return body if signer is None else body + signer.sign(_named(task_id, attempt, end) + body)


def decode(data: bytes, task_id: str, attempt: int, end: int, signer: Signer | None = None) -> list[bytes]:
    """Return the items of a batch.

    Raises:
        SignatureError: a key is set and the batch is unsigned or altered.
        SerializationError: no batch, or one of a newer hotqueue.
    """
    what = f"a batch of the stream of {task_id}"
    if signer is not None:
        if len(data) < _HEAD.size + SIGNATURE_BYTES:
            raise SignatureError(f"{what} is not signed, but a secret key is set here")
        data, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
        signer.verify(_named(task_id, attempt, end) + data, signature, what)
    if len(data) >= _HEAD.size:
        version, number = _HEAD.unpack_from(data)
        at = _HEAD.size + 4 * number
        if version == _VERSION and len(data) >= at:
            lengths = struct.unpack_from(f">{number}I", data, _HEAD.size)
            if len(data) == at + sum(lengths):
                return _cut(data, at, lengths)
    raise SerializationError(f"{what} cannot be read: it starts with {data[:12]!r}")


def _cut(data: bytes, at: int, lengths: Sequence[int]) -> list[bytes]:
    found = []
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return found


def _named(task_id: str, attempt: int, end: int) -> bytes:
    name = keys.raw(task_id)
    return len(name).to_bytes(4, "big") + name + struct.pack(">QQ", attempt, end)
