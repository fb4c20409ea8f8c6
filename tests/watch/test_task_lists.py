"""The view of tasks: lists by state, filters, and what is done to what is in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor.snapshot import snapshot
from hotqueue.store.store import Store
from hotqueue.tasks import chain
from hotqueue.watch import task_lists
from hotqueue.watch.task_lists import TaskLists
from tests.watch.conftest import Live

pytestmark = pytest.mark.servers("server")


def with_dead(queue: HotQueue, count: int) -> None:
    """Have a queue hold dead tasks, and none that waits."""

    @queue.task(name="shop.broken", retries=0)
    def broken(n: int) -> None:
        raise ValueError(f"no account {n}")

    for n in range(count):
        broken.delay(n)
    queue.run_worker(burst=True)


def test_lists_by_state_and_filter(make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str) -> None:
    queue = make_queue()
    with_dead(queue, 2)
    queue.send("shop.mail", (4, "x"))
    queue.send("shop.later", countdown=600)

    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("shop.mail", "4, 'x'", "shop.later", "shop.broken", "ValueError: no account 1")
        await live.press("[", "[")  # dead
        await live.shows_no("shop.mail")
        await live.shows("/state:dead", "shop.broken", "dead 2")
        await live.press("escape")
        await live.shows("shop.mail")
        await live.press("/", *"task:shop.ma*", "enter")
        await live.shows("/task:shop.ma*", "shop.mail")
        await live.shows_no("shop.broken")
        await live.press("/", *" tsk:x", "enter")
        await live.shows("there is no field 'tsk'")
        await live.press("escape")
        await live.shows("/task:shop.ma*")

    live(steps)
    queue.purge()
    queue.discard_dead(all=True)


def test_what_is_marked_is_retried_and_all_that_match_thrown_away(
    make_queue: Callable[..., HotQueue], live: Callable[..., None], queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_lists, "PAGE", 3)  # all that match are more than are on the screen
    queue = make_queue()
    with_dead(queue, 8)

    async def steps(live: Live) -> None:
        await live.press("4")
        await live.shows("no account", "1/3")
        await live.press("x", "x")
        await live.shows("2 marked")
        await live.press("R")
        await live.asks("Retry 2 dead tasks?")
        await live.press("y")
        await live.shows("2 tasks retried", "waiting 2")
        assert queue.stats()["dead"] == 6
        await live.shows("dead 6")
        await live.press("A")
        await live.shows("all that match are marked")
        await live.press("D")
        await live.asks("Throw 6 dead tasks away?")
        await live.press("y")
        await live.shows("6 tasks thrown away")
        assert queue.stats()["dead"] == 0
        await live.press("U")
        await live.shows("6 tasks brought back", "dead 6")
        await live.press("U")
        await live.shows("there is nothing to undo")
        await live.press("/", *"state:waiting", "enter")
        await live.shows("/state:waiting")
        await live.shows_no("ValueError")
        await live.press("K")
        await live.asks("Revoke 1 task?")
        await live.press("y")
        await live.shows("1 revoked")
        assert queue.pending() == 1

    live(steps)
    queue.purge()
    queue.discard_dead(all=True)


def test_what_cannot_be_brought_back_is_said_in_a_sentence(make_queue: Callable[..., HotQueue], store: Store) -> None:
    queue = make_queue()
    with_dead(queue, 1)
    refuse = queue.task(name="shop.refuse")(lambda: 1 / 0)
    chain(refuse.si(), refuse.si()).delay()
    queue.run_worker(burst=True)
    view = TaskLists()
    view.set_filter("state:dead")
    facts = [row.fact for row in view.read(store, snapshot(store, [queue.name]))]
    assert task_lists.discard(store, facts, lambda _n: None) == "2 tasks thrown away; for five minutes U brings back 1 of them"
    said = task_lists.bring_back(store, facts, lambda _n: None)
    assert said == "1 task brought back; 1 task not: it was a step of a workflow, and ended what was behind it"
    queue.discard_dead(all=True)


def test_more_rows_are_read_as_one_comes_to_the_last(make_queue: Callable[..., HotQueue], store: Store) -> None:
    queue = make_queue()
    for n in range(task_lists.PAGE + 10):
        queue.send("shop.mail", (n,))
    view, found = TaskLists(), snapshot(store, [queue.name])
    view.take(view.read(store, found))
    assert len(view.rows) == task_lists.PAGE
    view.move(10**9)
    view.take(view.read(store, found))
    assert len(view.rows) == task_lists.PAGE + 10
    counted: list[int] = []
    assert len(view.gather(store, found, counted.append)) == sum(counted) == task_lists.PAGE + 10
    queue.purge()


def test_what_cannot_be_done_to_a_task_is_said(make_queue: Callable[..., HotQueue], store: Store) -> None:
    queue = make_queue()
    queue.send("shop.mail")
    view = TaskLists()
    facts = [row.fact for row in view.read(store, snapshot(store, [queue.name]))]
    assert task_lists.retry(store, facts, lambda _n: None) == "only dead tasks can be retried"
    assert task_lists.discard(store, facts, lambda _n: None) == "only dead tasks can be thrown away; K revokes others"
    assert task_lists.revoke(store, facts, lambda _n: None) == "1 revoked"
    assert task_lists.revoke(store, [], lambda _n: None) == "only tasks that wait or run can be revoked"
