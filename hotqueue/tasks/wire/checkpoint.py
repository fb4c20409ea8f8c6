"""Checkpoint: what a run of a task leaves for the next one, on the wire. Encode and decode; never unpickles.

``1``, how many items may have begun behind the positions, the positions of its loops, all separated by blanks, and a newline;
then the state, pickled, or nothing; then a signature, if signed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hotqueue import keys
from hotqueue.errors import SerializationError
from hotqueue.signing import SIGNATURE_BYTES, Signer

_HEAD = re.compile(rb"1((?: \d{1,18})+)\n")


class Checkpoint(NamedTuple):
    """What a run leaves.

    Attributes:
        state: what the task gave, pickled; b"" for none.
        positions: of its loops; see `rules.loops`.
        ahead: items that may have begun behind these.
    """

    state: bytes = b""
    positions: tuple[int, ...] = ()
    ahead: int = 0


def encode(given: Checkpoint, task_id: str, signer: Signer | None) -> bytes:
    """Return a checkpoint's bytes; a signature covers the task's id as well."""
    body = b"1" + b"".join(b" %d" % number for number in (given.ahead, *given.positions)) + b"\n" + given.state
    return body if signer is None else body + signer.sign(_named(task_id) + body)


def decode(data: bytes, task_id: str, signer: Signer | None) -> Checkpoint:
    """Return the checkpoint in `data`.

    Raises:
        SignatureError: a key is set, and it is unsigned or altered.
        SerializationError: it is none.
    """
    if signer is not None:
        data, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
        signer.verify(_named(task_id) + data, signature, f"the checkpoint of task {task_id}")
    head = _HEAD.match(data)
    if head is None:
        raise SerializationError(f"the checkpoint of task {task_id} cannot be read: it begins with {data[:12]!r}")
    ahead, *positions = map(int, head[1].split())
    return Checkpoint(data[head.end() :], tuple(positions), ahead)


def _named(task_id: str) -> bytes:
    name = keys.raw(task_id)
    return len(name).to_bytes(4, "big") + name
