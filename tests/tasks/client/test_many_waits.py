"""Waiting for very many results, and by clients that do not read: what it costs the server, and that all of them come.

Of the kind: many ids at once; a message, a registration or a whole reply list that was lost; a leader who is gone; a client
that was stopped while results came, for less and for more time than its list is kept; results of all sizes.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.tasks.client.answers import with_records
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.client.waiters import Waiter
from tests.support.durations import let_pass
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until
from tests.tasks.contents import Room, sync

pytestmark = pytest.mark.servers("server")


class Own(Room):
    def __init__(self, queue: Any, url: str) -> None:
        super().__init__(queue)
        self.url = url


@pytest.fixture
def own(start_redis: Callable[..., RedisServer], make_queue: Callable[..., Any]) -> Own:
    """A room on a server where nobody else sends anything."""
    server = start_redis()
    return Own(make_queue(url=server.url), server.url)


def waiting_room(room: Room, ids: list[str]) -> Replies:
    room.fill({"tasks": dict.fromkeys(ids, sync()), "ready": dict.fromkeys(ids, 1)})
    return room.queue._tasks.replies(room.queue.name)


def finish(room: Room, ids: list[str], blob: bytes = b"blob") -> None:
    for task_id in ids:
        assert room.broker.revoke(task_id, blob, 60_000) == "revoked"


def in_a_thread(replies: Replies, ids: list[str], timeout: float = 60) -> tuple[threading.Thread, dict[str, Any]]:
    found: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: found.update(replies.wait(ids, timeout)))
    thread.start()
    return thread, found


def calls(room: Room, *commands: str) -> int:
    found = room.client.info("commandstats")
    return sum(found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in commands)


def test_waiting_for_very_many_asks_for_each_ever_more_rarely(own: Own) -> None:
    ids = [f"t{n}" for n in range(20_000)]
    replies = waiting_room(own, ids)
    thread, found = in_a_thread(replies, ids)
    wait_until(lambda: own.client.hlen(own.prefix + "waiters") == len(ids))
    before = calls(own, "hexists", "get")
    let_pass(6)
    asked = calls(own, "hexists", "get") - before
    assert asked < 2.2 * len(ids)  # after 1 and 3 seconds; it was once a second
    finish(own, ids[:-1])
    wait_until(lambda: len(replies._watches.tasks) == 1)
    finish(own, ids[-1:])
    thread.join()
    assert len(found) == len(ids)


def test_a_reply_that_was_lost_costs_a_second(own: Own) -> None:
    replies = waiting_room(own, ["t"])
    thread, found = in_a_thread(replies, ["t"])
    wait_until(lambda: own["waiters"])
    own.client.delete(own.prefix + "waiters")
    finish(own, ["t"])
    began = time.monotonic()
    thread.join()
    assert time.monotonic() - began < allowed(4)
    assert set(found) == {"t"}


def test_a_connection_that_was_cut_is_no_message_lost(own: Own) -> None:
    """However long it waits already."""
    ids = [f"t{n}" for n in range(3000)]
    replies = waiting_room(own, ids)
    thread, found = in_a_thread(replies, ids)
    wait_until(lambda: len(own["waiters"] or ()) == 3000)
    for watch in replies._watches.tasks.values():
        watch.ask_at = time.monotonic() + 1000
    replies._watches._due = time.monotonic() + 1000
    own.client.delete(own.prefix + "waiters")
    finish(own, ids)
    own.client.client_kill_filter(_type="normal", skipme=True)
    began = time.monotonic()
    thread.join()
    assert time.monotonic() - began < allowed(5)
    assert len(found) == 3000


def test_a_leader_who_is_gone_without_a_word_is_replaced(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotqueue.tasks.client.replies.LATE", 0.2)
    replies = waiting_room(own, ["a", "b"])
    assert replies._take_lead(Waiter(()), 0.1)
    future_found: list[str] = []
    replies.subscribe("b", lambda task_id, _: future_found.append(task_id))
    thread, found = in_a_thread(replies, ["a"])
    finish(own, ["a", "b"])
    thread.join()
    assert set(found) == {"a"}
    wait_until(lambda: future_found == ["b"])


def test_results_of_all_sizes_come_to_all_who_wait(own: Own) -> None:
    sizes = [10, 1000, 30_000, 65_536, 65_537, 300_000]
    ids = [f"t{n}" for n in range(120)]
    replies = waiting_room(own, ids)
    thread, found = in_a_thread(replies, ids)
    told: dict[str, Any] = {}
    for task_id in ids[::7]:
        replies.subscribe(task_id, lambda task_id, answer: told.update({task_id: answer}))
    wait_until(lambda: len(own["waiters"] or ()) == len(ids))
    for n, task_id in enumerate(ids):
        finish(own, [task_id], b"%d " % n + b"x" * sizes[n % 6])
    thread.join()
    wait_until(lambda: len(told) == len(ids[::7]))
    for n, task_id in enumerate(ids):
        whole = b"%d " % n + b"x" * sizes[n % 6]
        assert found[task_id].record == whole
        if task_id in told:
            assert with_records(own.broker, {task_id: told[task_id]})[task_id].record == whole


CLIENT = """
import sys
from hotqueue import HotQueue
from hotqueue.tasks.client import replies
replies.STOPPED = 0.5
queue = HotQueue(sys.argv[1], url=sys.argv[2])
print("begins", flush=True)
found = queue._tasks.replies(queue.name).wait([f"t{n}" for n in range(int(sys.argv[3]))], 60)
print(len(found), sum(len(answer.record) for answer in found.values()), flush=True)
"""


@pytest.mark.parametrize(("count", "size", "is_expired"), [(4000, 60_000, False), (15_000, 20, False), (500, 100, True)])
def test_a_client_that_is_stopped_costs_little_and_gets_all_when_it_wakes(
    own: Own, start_python: Callable[..., Any], count: int, size: int, is_expired: bool
) -> None:
    ids = [f"t{n}" for n in range(count)]
    waiting_room(own, ids)
    client = start_python(CLIENT, own.queue.name, own.url, count)
    assert client.stdout.readline() == "begins\n"
    wait_until(lambda: own.client.hlen(own.prefix + "waiters") == count)
    (reply,) = set(own["waiters"].values())
    client.send_signal(signal.SIGSTOP)
    finish(own, ids, b"x" * size)
    assert own.client.memory_usage(reply, samples=0) < 4 << 20
    if is_expired:  # as after a minute
        own.client.delete(reply)
        let_pass(2)
    client.send_signal(signal.SIGCONT)
    assert client.stdout.readline().split() == [str(count), str(count * size)]
