"""The dead list keeps so many tasks, for so long, and so many bytes; the newest one whatever its size. Its count stays right.

Of the kind: what adds to the list (a task that fails), what takes from it (retried, discarded one by one or all, dropped as too
old, too many, too large), what copies it, what empties it behind our back. What one call reads of it is bounded too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, TaskNameWarning
from hotqueue.sizes import DEAD_BYTES, READ_BYTES
from hotqueue.tasks import State
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.transfer.copying import export
from tests.tasks import sample
from tests.tasks.broker.test_session import session_of
from tests.tasks.contents import Room, place, sync
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def die(room: Room, *tasks: tuple[str, int]) -> None:
    """Have tasks die, one after the other, whose entries in the list take so many bytes."""
    for task_id, size in tasks:
        envelope = sync("x" * (size - 7))
        room.fill({"tasks": {task_id: envelope}, "held:w": {task_id: f"1 s {place(1)} 0"}})
        assert session_of(room, number=1).step(0, [(task_id, 1, "D", b"failure", 300_000, "{}")]).gone == []


KEPT = 5000  # bytes that the list keeps in these tests, by a count that is too high: with 256 MB they would take minutes
SURPLUS = DEAD_BYTES - KEPT


def is_right(room: Room, surplus: int = 0) -> bool:
    """Tell whether the count of bytes is that of the list."""
    key = room.prefix + "dead:tasks"
    assert set(room["dead"] or ()) == {each.decode() for each in room.client.hkeys(key)}
    return int(room.client.get(room.prefix + "dead:bytes") or 0) == sum(map(len, room.client.hvals(key))) + surplus


def keeping_little(room: Room) -> None:
    die(room, ("first", 100))
    room.client.incrby(room.prefix + "dead:bytes", SURPLUS)


def test_the_oldest_go_when_there_are_too_many_bytes_and_are_counted(room: Room) -> None:
    keeping_little(room)
    die(room, *((f"d{n}", 1000) for n in range(8)))
    assert list(room["dead"]) == ["d3", "d4", "d5", "d6", "d7"]
    assert room["stats"] == {"failed": 9, "dead_dropped": 4}
    assert is_right(room, SURPLUS)


def test_one_that_is_larger_than_all_that_is_kept_is_kept(room: Room) -> None:
    keeping_little(room)
    die(room, ("a", 1000), ("large", KEPT + 1000))
    assert list(room["dead"]) == ["large"]
    assert is_right(room, SURPLUS)
    die(room, ("c", 1000))
    assert list(room["dead"]) == ["c"]
    assert is_right(room, SURPLUS)


def test_many_small_ones_make_room_for_a_large_one(room: Room) -> None:
    now = int(time.time() * 1000)
    many = {f"d{n}": now - 10_000 + n for n in range(9000)}
    room.fill({"dead": many, "dead:tasks": dict.fromkeys(many, "x" * 100), "dead:bytes": str(9000 * 100 + DEAD_BYTES - 900_000)})
    die(room, ("large", 90_000))
    assert is_right(room, DEAD_BYTES - 900_000)
    assert len(room["dead"]) == 1 + (900_000 - 90_000) // 100
    assert "large" in room["dead"]


def test_the_same_id_dies_again(room: Room) -> None:
    """Its first death was retried by hand, or it was sent anew when that was forgotten."""
    die(room, ("a", 1000), ("b", 500), ("a", 700))
    assert is_right(room)
    assert room.broker.revive(["a", "unknown"]) == ["a"]
    assert is_right(room)
    die(room, ("a", 900))
    assert is_right(room)


def test_the_count_stays_right_over_all_that_takes_from_the_list(room: Room) -> None:
    die(room, *((f"d{n}", 1000 + n) for n in range(20)))
    room.client.zadd(room.prefix + "dead", {"d3": 5})  # very long ago
    die(room, ("e", 100))
    assert "d3" not in room["dead"]
    assert is_right(room)
    assert room.broker.discard(["d0", "d0", "d1", "unknown"]) == 2
    assert room.broker.revive(["d5", "d6"]) == ["d5", "d6"]
    assert is_right(room)
    assert room.queue.discard_dead(all=True) == 16
    assert (room["dead"], room["dead:tasks"], room["dead:bytes"]) == (None, None, None)


def test_a_count_that_somebody_spoilt_is_right_again_once_the_list_is_empty(room: Room) -> None:
    die(room, ("a", 1000))
    room.client.set(room.prefix + "dead:bytes", 10**12)
    die(room, ("b", 1000))
    assert list(room["dead"]) == ["b"]
    room.queue.discard_dead("b")
    die(room, ("c", 1000), ("d", 1000))
    assert is_right(room)
    assert list(room["dead"]) == ["c", "d"]


def test_retrying_all_takes_no_more_in_hand_at_once_than_a_fetch(room: Room) -> None:
    die(room, *((f"d{n:02}", READ_BYTES // 2) for n in range(20)))
    room.client.config_resetstat()
    assert room.queue.retry_dead(all=True) == 20
    calls = room.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert 7 <= calls <= 10
    assert len(room["ready"]) == 20
    assert room["dead:bytes"] is None


def test_a_copy_has_the_count(room: Room, start_redis: Callable[..., Any], store_url: str) -> None:
    die(room, ("a", 1000))
    there = start_redis()
    export(store_url, there.url)
    with HotQueue(room.queue.name, url=there.url) as queue:
        copied = Room(queue)
        assert is_right(copied)
        assert copied["dead:bytes"] == "1000"


def test_tasks_that_really_fail(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    boom = queue.task(sample.boom)
    results = [boom.delay("x" * 10_000) for _ in range(5)]
    queue.run_worker(burst=True)
    room = Room(queue)
    assert is_right(room)
    assert int(room["dead:bytes"]) > 50_000
    assert queue.retry_dead(results[0]) == 1
    queue.run_worker(burst=True)
    assert is_right(room)
    assert queue.discard_dead(results[1]) == 1
    assert is_right(room)
    assert queue.discard_dead(all=True) == 4


def work(queue: HotQueue) -> int:
    return queue.run_worker(burst=True)


class TestDead:
    def test_a_handle_whose_get_failed_gets_the_value_once_the_task_was_retried(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        flaky = queue.task(name="flaky")(sample.boom)
        result = flaky.delay()
        work(queue)
        with pytest.raises(OSError, match="boom"):
            result.get(timeout=30)
        with pytest.warns(TaskNameWarning):
            queue.task(name="flaky")(sample.note)  # mended
        queue.retry_dead(result)
        work(queue)
        assert result.get(timeout=30) is None
        assert result.state is State.SUCCESS

    def test_the_dead_are_known_by_their_id(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        boom = queue.task(sample.boom)
        first = boom.apply_async(task_id="x")
        work(queue)
        assert boom.apply_async(("other",), task_id="x") == first
        assert (work(queue), seen) == (0, ["boom"])
        queue.discard_dead("x")

    def test_one_or_all_must_be_said(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        for method in (queue.retry_dead, queue.discard_dead):
            for wrong in ((), ("id", True)):
                with pytest.raises(TypeError, match=r"takes the id of a dead task, or all=True"):
                    method(*wrong[:1], **({"all": True} if wrong[1:] else {}))

    @pytest.mark.parametrize("wrong", [5, "", ["a"], b"a"], ids=str)
    def test_an_id_is_a_text(self, make_queue: MakeQueue, wrong: Any) -> None:
        queue = make_queue()
        for method in (queue.retry_dead, queue.discard_dead, queue.result):
            with pytest.raises(TypeError, match=r"takes the id of a task, a non-empty str such as result.id, not "):
                method(wrong)

    def test_what_cannot_be_decoded_is_dead_with_the_reason(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue._tasks.broker.enqueue([Encoded("odd", "", "", b"\x01sdnonsense"), Encoded("newer", "", "", b"\x09sd")])
        good = queue.task(sample.square).delay(2)
        work(queue)
        assert good.get(timeout=30) == 4
        found = {d.id: (d.task, d.error, d.message[:22]) for d in queue.dead()}
        wanted = ("?", "hotqueue.CorruptEnvelope", "not a hotqueue message")
        assert found == {"odd": wanted, "newer": wanted}
        assert queue.result("odd").state is State.FAILURE
        queue.discard_dead(all=True)


class TestPages:
    """`queue.dead()` reads a page at a time, and what is there all the while comes once, whatever happens beside."""

    def given(self, room: Room, *moments: int, size: int = 10) -> list[str]:
        ids = [f"d{n:05}" for n in range(len(moments))]
        for start in range(0, len(ids), 1000):
            some = ids[start : start + 1000]
            room.fill({"dead": dict(zip(some, moments[start:], strict=False))})
            room.fill({"dead:tasks": dict.fromkeys(some, "{}\n" + "x" * (size - 3))})
        return ids[::-1]

    def test_many_large_ones_are_never_in_one_reply(self, room: Room) -> None:
        ids = self.given(room, *range(1000), size=60_000)
        dead = room.queue.dead()
        room.client.config_resetstat()
        assert next(dead).id == ids[0]
        assert room.client.info("stats")["total_net_output_bytes"] < READ_BYTES + 10_000
        assert [each.id for each in dead] == ids[1:]
        pages = room.client.info("commandstats")["cmdstat_evalsha"]["calls"]
        assert pages >= 60_000_000 / READ_BYTES

    def test_a_page_has_no_more_bytes_than_are_read_at_once_and_one_task_at_least(self, room: Room) -> None:
        ids = self.given(room, *range(10), size=READ_BYTES // 3)
        room.fill({"dead:tasks": {ids[4]: "{}\n" + "x" * 2 * READ_BYTES}})
        pages, last = [], None
        while True:
            rows, last = room.broker.dead(100, behind=last)
            if not rows:
                break
            pages.append([row[0] for row in rows])
        assert pages == [ids[:3], ids[3:4], ids[4:5], ids[5:8], ids[8:]]

    def test_what_is_discarded_on_the_way_hides_no_other(self, room: Room) -> None:
        ids = self.given(room, *range(350))
        found = []
        for each in room.queue.dead():
            found.append(each.id)
            room.queue.discard_dead(each.id)
        assert found == ids

    def test_many_of_one_moment_come_once_each(self, room: Room) -> None:
        ids = self.given(room, *[5] * 350)
        found = []
        for n, each in enumerate(room.queue.dead()):
            found.append(each.id)
            if n % 100 == 99:  # the one behind which the next page goes on
                room.queue.discard_dead(each.id)
        assert found == ids

    def test_what_dies_on_the_way_or_dies_again_is_not_repeated(self, room: Room) -> None:
        ids = self.given(room, *range(250))
        found = []
        for n, each in enumerate(room.queue.dead()):
            found.append(each.id)
            if n == 99:
                room.fill({"dead": {each.id: 1000, "new": 1001}, "dead:tasks": {"new": "{}\n"}})
        assert found == ids

    def test_start_and_limit(self, room: Room) -> None:
        ids = self.given(room, *range(250))
        assert [each.id for each in room.queue.dead(limit=120)] == ids[:120]
        assert [each.id for each in room.queue.dead(start=240, limit=120)] == ids[240:]
        assert list(room.queue.dead(limit=0)) == list(room.queue.dead(start=250)) == []
        assert list(room.queue.dead(start=10**15)) == list(room.queue.dead(start=10**400, limit=10**400)) == []
        for wrong in ({"limit": -1}, {"limit": "5"}, {"start": None}, {"start": True}):
            with pytest.raises(TypeError, match=r"queue.dead\(\) takes a number from 0 as (limit|start)=, not "):
                room.queue.dead(**wrong)  # type: ignore[arg-type]

    def test_an_entry_without_a_record_is_passed_over(self, room: Room) -> None:
        ids = self.given(room, *range(300))
        room.client.hdel(room.prefix + "dead:tasks", *ids[50:250])
        assert [each.id for each in room.queue.dead()] == [*ids[:50], *ids[250:]]

    def test_in_testing_they_are_listed_in_the_same_way(self, make_queue: MakeQueue) -> None:
        queue = make_queue("in-testing")
        fail = queue.task(int, name="fail")
        with queue.testing():
            ids = [fail.delay("x").id for _ in range(5)][::-1]
            assert [each.id for each in queue.dead(start=1, limit=2)] == ids[1:3]
            assert [each.id for each in queue.dead()] == ids
