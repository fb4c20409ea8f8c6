"""Outgoing: tasks for other queues, as the end of a task brings them to its queue's outbox. Encode and decode; pure.

On the wire: `packed`, which lua/shared/outbox.lua reads. In the outbox: an entry each, which `opened` reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hotqueue import keys

_ENTRY = re.compile(rb"([^\n]+)\n(\S*) (\S*)\n(.*)", re.DOTALL)


class Outgoing(NamedTuple):
    """A task for another queue.

    Attributes:
        due: when it may run: "" at once, "+ms from now" or "ms"; now is when it is written to the outbox.
        expires: when it is too late for it; the same, "" for never.
        envelope: as that queue is sent it.
    """

    queue: str
    id: str
    due: str
    expires: str
    envelope: bytes


def packed(outgoing: Sequence[Outgoing]) -> str:
    """Return what a settlement carries as its `extra`; bytes that are no text survive, see `keys.text`."""
    heads = [keys.raw(f"{queue}\n{task_id}\n{due} {expires} {len(body)}\n") for queue, task_id, due, expires, body in outgoing]
    return keys.text(b"".join([part for head, task in zip(heads, outgoing, strict=True) for part in (head, task.envelope)]))


def opened(queue: str, entry: bytes) -> Outgoing | None:
    """Return what an entry of the outbox for a queue says; None where somebody else wrote it."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return None
    task_id, due, expires, envelope = found.groups()
    return Outgoing(queue, keys.text(task_id), due.decode(errors="replace"), expires.decode(errors="replace"), envelope)
