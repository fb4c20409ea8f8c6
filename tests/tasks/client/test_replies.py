"""One reply list and one connection for all that a process waits for; answers, callbacks, handing over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.replies import Replies
from tests.support.servers import LOSES_NOTHING, RedisServer
from tests.support.waiting import allowed, wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def replies(room: Room) -> Replies:
    return Replies(room.broker, lambda task_id, late: room.broker.revoke(task_id, b"expired", 60_000) and None)


def finish(room: Room, task_id: str, blob: bytes = b"blob") -> None:
    """End a waiting task, as far as its waiters see."""
    assert room.broker.revoke(task_id, blob, 60_000) == "revoked"


def waiting_room(room: Room, *ids: str) -> Room:
    return room.fill({"tasks": dict.fromkeys(ids, sync()), "ready": dict.fromkeys(ids, 1)})


def test_answers_of_each_kind(room: Room, replies: Replies) -> None:
    room.fill({"result:r": "blob", "result:large": "x" * 100_000, "done:0": ["d"]})
    found = replies.wait(["r", "large", "d", "u"], 5)
    assert found == {"r": Answer("R", b"blob"), "large": Answer("R", b"x" * 100_000), "d": Answer("D"), "u": Answer("U")}


def test_what_does_not_come_in_time_is_missing(room: Room, replies: Replies) -> None:
    waiting_room(room, "t").fill({"result:r": "blob"})
    began = time.monotonic()
    assert replies.wait(["t", "r"], 0.1) == {"r": Answer("R", b"blob")}
    assert time.monotonic() - began < allowed(3)
    assert len(replies._watches.tasks) == 0


def test_who_waits_is_told_of_the_end(room: Room, replies: Replies) -> None:
    waiting_room(room, "a", "b")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(replies.wait(["a", "b"], 20)))
    thread.start()
    wait_until(lambda: len(room["waiters"] or ()) == 2)
    finish(room, "a")
    finish(room, "b", b"x" * 100_000)
    thread.join()
    assert found == [{"a": Answer("R", b"blob"), "b": Answer("R", b"x" * 100_000)}]


def test_a_leader_that_has_its_answer_hands_over_to_who_still_waits(room: Room, replies: Replies) -> None:
    waiting_room(room, *"abc")
    found: list[str] = []
    threads = [threading.Thread(target=lambda i=i: found.extend(replies.wait([i], 20))) for i in "abc"]
    for n, thread in enumerate(threads):
        thread.start()
        wait_until(lambda n=n: len(room["waiters"] or ()) == n + 1)
    for n, task_id in enumerate("abc"):  # the first to wait leads, and is the first to have its answer
        finish(room, task_id)
        wait_until(lambda n=n: len(found) == n + 1)
    for thread in threads:
        thread.join()
    assert found == ["a", "b", "c"]


def test_a_registration_that_was_lost_is_made_again(room: Room, replies: Replies) -> None:
    waiting_room(room, "t")
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(replies.wait(["t"], 20)))
    thread.start()
    wait_until(lambda: room["waiters"])
    room.client.delete(room.prefix + "waiters")
    finish(room, "t")
    thread.join()
    assert found == [{"t": Answer("R", b"blob")}]


def test_callbacks_are_called_and_forgotten(room: Room, replies: Replies) -> None:
    waiting_room(room, "a", "b")
    told: list[object] = []
    replies.subscribe("a", lambda *answer: told.append(answer))
    callback = lambda *answer: told.append(answer)  # noqa: E731
    replies.subscribe("b", callback)
    replies.unwatch("b", callback)
    finish(room, "b")
    finish(room, "a")
    wait_until(lambda: told)
    assert told == [("a", Answer("R", b"blob"))]
    assert len(replies._watches.tasks) == 0


def test_callbacks_and_waiters_of_one_task_are_all_told(room: Room, replies: Replies) -> None:
    waiting_room(room, "t")
    told: list[object] = []
    replies.subscribe("t", lambda _id, answer: told.append(answer))
    threads = [threading.Thread(target=lambda: told.append(replies.wait(["t"], 20)["t"])) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(replies._watches.tasks["t"].who) == 6)
    finish(room, "t")
    for thread in threads:
        thread.join()
    wait_until(lambda: len(told) == 6)
    assert told == [Answer("R", b"blob")] * 6


def test_an_expired_task_is_ended_unless_it_runs(room: Room, replies: Replies) -> None:
    waiting_room(room, "t").fill({"attempts": {"t": "0 0 - 5 -", "held": "0 0 - 5 -"}, "tasks": {"held": sync()}})
    assert replies.wait(["t"], 10) == {"t": Answer("R", b"expired")}
    assert replies.wait(["held"], 0.1) == {}


MALFORMED = [b"", b"E", b"Et", b"Et\0", b"Et\0soon", b"Et\0" + b"9" * 5000, b"\xff", b"Zt\0blob", b"R\xff\0blob", b"t", b"{}"]


@pytest.mark.parametrize("as_callback", [False, True])
def test_a_malformed_message_is_passed_over_and_the_server_asked_again(room: Room, replies: Replies, as_callback: bool) -> None:
    waiting_room(room, "t")
    told: list[object] = []
    if as_callback:
        replies.subscribe("t", lambda _id, answer: told.append(answer))
    else:
        threading.Thread(target=lambda: told.append(replies.wait(["t"], 20)["t"])).start()
    wait_until(lambda: room["waiters"])
    room.client.hdel(room.prefix + "waiters", "t")  # only who asks again is told
    room.client.rpush(room.prefix + f"reply:{replies._client}", *MALFORMED)
    wait_until(lambda: room["waiters"])
    finish(room, "t")
    wait_until(lambda: told)
    assert told == [Answer("R", b"blob")]


def test_an_outage_is_waited_out(room: Room, start_redis: Callable[..., RedisServer], make_queue: Callable[..., object]) -> None:
    server = start_redis(*LOSES_NOTHING)
    own = Room(make_queue(url=server.url))  # type: ignore[arg-type]
    waiting_room(own, "t")
    replies = Replies(Broker(own.queue._store, own.queue.name), lambda *_: None)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(replies.wait(["t"], 30)))
    thread.start()
    wait_until(lambda: own["waiters"])
    server.kill()
    server.start()
    wait_until(lambda: own.broker.store.repeat(lambda: own.broker.revoke("t", b"blob", 60_000)) == "revoked")
    thread.join()
    assert found == [{"t": Answer("R", b"blob")}]
