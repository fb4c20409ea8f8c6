"""Records that are too large to come along with the answers are read afterwards, some in a trip."""

from __future__ import annotations

import pytest

from hotqueue.tasks.client import answers as module
from hotqueue.tasks.client.answers import Answer, poll, with_records
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def test_large_records_are_read_and_what_is_gone_is_unknown(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 10)
    room.fill({"result:a": "record a", "result:b": "record b"})
    found = with_records(
        room.broker, {"a": Answer("B", size=8), "b": Answer("B", size=8), "gone": Answer("B", size=8), "small": Answer("R", b"r")}
    )
    assert {task_id: (answer.status, answer.record) for task_id, answer in found.items()} == {
        "a": ("R", b"record a"),
        "b": ("R", b"record b"),
        "gone": ("U", b""),
        "small": ("R", b"r"),
    }


def test_a_reply_list_is_read_without_a_connection_of_its_own(room: Room) -> None:
    assert poll(room.broker, "client", 0.02) == []
    room.fill({"reply:client": ["one", "two"]})
    assert poll(room.broker, "client", 30) == [b"one", b"two"]
    assert room["reply:client"] is None
