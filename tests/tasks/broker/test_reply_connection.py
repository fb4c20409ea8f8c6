"""The connection on which a client waits for its reply list: what is there, asked for and awaited in one trip."""

from __future__ import annotations

import contextlib

import pytest

from hotqueue.errors import ConnectionFailed
from tests.support.waiting import wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


def test_what_is_in_the_list_comes_one_or_all_at_once(room: Room) -> None:
    connection = room.broker.reply_connection("c", 5)
    room.fill({"reply:c": ["one", "two", "three"]})
    assert connection.read(0, many=False) == ([b"one"], [])
    assert connection.read(0, many=True) == ([b"two", b"three"], [])
    assert connection.read(0, many=True) == ([], [])


def test_a_question_goes_along_and_its_answer_comes_first(room: Room) -> None:
    connection = room.broker.reply_connection("c", 5)
    room.fill({"tasks": {"t": sync()}, "result:done": "record"})
    room.broker.wait(["never"], "somebody")  # so that the server knows the script
    messages, expiring = connection.read(0, many=True, ask=["done", "t", "never"])
    assert messages == [b"Rdone\0record", b"Unever\0"]
    assert expiring == []
    assert room["waiters"] == {"t": room.prefix + "reply:c"}


def test_another_connection_is_told_once(room: Room) -> None:
    connection = room.broker.reply_connection("c", 5)
    connection.read(0, many=False)
    assert not connection.has_changed()
    room.client.client_kill_filter(_type="normal", skipme=True)

    def has_changed() -> bool:
        with contextlib.suppress(ConnectionFailed):
            connection.read(0, many=False)
        return connection.has_changed()

    wait_until(has_changed)
    assert not has_changed()
