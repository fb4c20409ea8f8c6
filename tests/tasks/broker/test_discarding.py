"""What was thrown away comes back as it was, within five minutes, bounded; what ended others with it does not, and is said so.

On every kind of server: what a queue does. With a room: what is in its keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, sizes
from hotqueue.tasks import chain, current_task
from hotqueue.tasks.broker import discarding
from hotqueue.tasks.broker.broker import Broker
from tests.support.elsewhere import task_by_name
from tests.tasks.contents import Room, sync

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def test_what_was_thrown_away_comes_back_as_it_was(make_queue: MakeQueue) -> None:
    queue = make_queue()
    ids = [each.id for each in queue.task(name="shop.fail")(fail).map(range(5))]
    queue.run_worker(burst=True)
    before = list(queue.dead())
    assert queue.discard_dead(ids[0]) == 1
    assert queue.discard_dead(all=True) == 4
    assert queue.stats()["dead"] == 0
    assert queue.undo_discard(ids[0]) == 1
    with pytest.raises(ValueError, match="cannot be brought back: a task of this id is there"):
        queue.undo_discard(ids[0])
    assert queue.undo_discard() == 4
    assert queue.undo_discard() == 0
    assert list(queue.dead()) == before
    with pytest.raises(ValueError, match="it was not thrown away within the last five minutes"):
        queue.undo_discard("nobody")
    queue.discard_dead(all=True)
    assert queue.undo_discard(ids[3]) == queue.retry_dead(ids[3]) == 1
    with pytest.raises(ValueError, match="a task of this id is there"):
        queue.undo_discard(ids[3])  # it waits to be run
    queue.purge()


@only_server
def test_what_it_has_kept_comes_back_with_it(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task(name="shop.goes-on")
    def goes_on() -> Any:
        found = current_task.resumed
        if found is None:
            current_task.checkpoint({"at": 7})
            raise ValueError("no")
        return found

    sent = goes_on.delay()
    queue.run_worker(burst=True)
    assert queue.discard_dead(all=True) == queue.undo_discard() == queue.retry_dead(all=True) == 1
    queue.run_worker(burst=True)
    assert sent.get(30) == {"at": 7}


@only_server
def test_a_step_that_ended_others_does_not_come_back(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task, behind = queue.task(name="shop.fail")(fail), task_by_name(queue, "shop.behind")
    result = chain(task.s(1), behind.si(2)).delay()
    queue.run_worker(burst=True)
    (dead,) = queue.dead()
    assert queue.discard_dead(all=True) == 1
    assert Broker(queue._store, queue.name).undo_discard([dead.id]).refused == {dead.id: "step"}
    with pytest.raises(ValueError, match="it was a step of a workflow, and ended what was behind it"):
        queue.undo_discard(dead.id)
    assert queue.undo_discard() == 0
    assert list(queue.dead()) == []
    with pytest.raises(ValueError, match=r"no 1\nIt arose in task"):
        result.get(30)


def bury(room: Room, *sizes_of: tuple[str, int]) -> None:
    now = int(time.time() * 1000)
    room.fill({"dead": {name: now + n for n, (name, _) in enumerate(sizes_of)}})
    room.fill({"dead:tasks": {name: "{}\n" + sync(name) + "x" * size for name, size in sizes_of}})


@only_server
def test_only_what_is_marked_so(room: Room) -> None:
    bury(room, ("a", 10), ("b", 10))
    assert room.broker.discard(["a"], "m1") == room.broker.discard(["b"], "m2") == 1
    back = room.broker.undo_discard(room.broker.discarded_ids(), "m1")
    assert (back.ids, back.refused, list(room["dead"])) == (["a"], {}, ["a"])
    assert room.broker.discarded_ids() == ["b"]
    assert room.broker.discard(["a", "a", "unknown"]) == 1


@only_server
def test_it_is_kept_for_five_minutes(room: Room) -> None:
    bury(room, ("a", 10), ("b", 10), ("c", 10))
    room.broker.discard(["a", "b"])
    for key in ("discarded", "discarded:tasks"):
        assert 0 < room.client.pttl(room.prefix + key) <= discarding.UNDO_MS
    room.client.zadd(room.prefix + "discarded", {"a": room["discarded"]["a"] - discarding.UNDO_MS})
    assert room.broker.undo_discard(["a", "b"]).refused == {"a": "late"}
    room.broker.discard(["c"])
    assert room.broker.discarded_ids() == ["c"]  # what is too old goes with the next


@only_server
def test_no_more_is_kept_than_may_be(room: Room) -> None:
    size = sizes.DISCARDED_BYTES // 4
    names = [f"d{n}" for n in range(6)]
    bury(room, *((name, size) for name in names))
    assert room.broker.discard(names) == 6
    kept = room.broker.discarded_ids()
    assert sorted(kept) == ["d3", "d4", "d5"]  # the last ones that fit
    held = sum(len(value) for name, value in room["discarded:tasks"].items() if name != "\n")
    assert int(room.client.hget(room.prefix + "discarded:tasks", "\n")) == held <= sizes.DISCARDED_BYTES
    assert sorted(room.broker.undo_discard(names).ids) == sorted(kept)
    bury(room, ("large", sizes.DISCARDED_BYTES))
    room.broker.discard(["large"])
    assert room.broker.undo_discard(["large"]).refused == {"large": "large"}
    room.broker.discard(names)


@only_server
def test_no_more_tasks_are_kept_than_the_dead_list_has(room: Room) -> None:
    names = [f"d{n}" for n in range(sizes.DEAD_TASKS + 10)]
    bury(room, *((name, 1) for name in names))
    assert room.broker.discard(names) == len(names)
    kept = room.broker.discarded_ids()
    assert len(kept) == sizes.DEAD_TASKS
    back = room.broker.undo_discard(kept)
    assert (len(back.ids), back.refused) == (sizes.DEAD_TASKS, {})
    assert room["discarded"] is None
    assert room["discarded:tasks"] is None
    assert room.broker.discard([names[-1]]) == 1
    bury(room, ("more", 1))
    assert room.broker.undo_discard([names[-1]]).refused == {names[-1]: "full"}


@only_server
def test_a_full_server_gets_room_by_it(room: Room) -> None:
    """What is thrown away there is gone: to keep it would take what is wanted for other things."""
    bury(room, ("a", 1000), ("b", 1000))
    room.client.config_set("maxmemory", 1)
    try:
        assert room.broker.discard(["a", "b"]) == 2
    finally:
        room.client.config_set("maxmemory", 0)
    assert room["dead:tasks"] is None
    assert room["discarded:tasks"] is None
    assert room.broker.undo_discard(["a"]).refused == {"a": "late"}
