"""Keys lead back to their queue and to what they are in it, whatever bytes the queue's name has."""

from __future__ import annotations

import pytest

from hotqueue.transfer.key_names import beside, known_of, list_of, tag_of, thing_of


@pytest.mark.parametrize("name", [b"hotqueue:q", b"hotqueue:\xff\x00: 1"])
def test_a_key_of_a_queue(name: bytes) -> None:
    assert (list_of(name), thing_of(name)) == (name, b"")
    key = tag_of(name) + b"result:a}:b"
    assert (list_of(key), thing_of(key)) == (name, b"result:a}:b")
    assert beside(name, key) == tag_of(name) + b"import:result:a}:b"


@pytest.mark.parametrize("key", [b"other", b"{other}:tasks", b"{hotqueue/0rm:clicks}:tasks"])
def test_a_key_of_none(key: bytes) -> None:
    assert list_of(key) == b""


def test_what_a_queue_may_have_and_what_was_seen_of_it_is_named_once_each() -> None:
    tasks = b"{hotqueue:q}:tasks"
    known = known_of(b"hotqueue:q", [tasks, b"{hotqueue:q}:parked:x"])
    assert (known[0], known[-1], known.count(tasks)) == (b"hotqueue:q", b"{hotqueue:q}:parked:x", 1)
