"""Steps of workflows that are unique, on every kind of server: they take their key when they begin, and none waits for ever.

Of this kind: a key that is free, and one that another has, for each `on_conflict`: who waits, is run, fails, is replaced; groups
of one key; steps of other queues; tasks that are replaced by steps of their own key; retrying what was kept out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import DuplicateTask, HotQueue, TaskRevoked
from hotqueue.tasks import State, chain, chord, group
from hotqueue.tasks.client.definition import definition_of
from tests.support import leaks

MakeQueue = Callable[..., HotQueue]
CONFLICTS = ("raise", "ignore", "replace")
LATER = 600  # seconds: a task that is due then has its key meanwhile


def known(task: Any) -> Any:
    """Have workers of this process know a task by its name."""
    definition_of(task).by_value = False
    return task


class Shop:
    """A queue with tasks that say what they did, one of them unique."""

    def __init__(self, queue: HotQueue, **options: Any) -> None:
        self.queue, self.ran, self.told = queue, list[Any](), list[Any]()
        self.one = known(queue.task(lambda *_: 1, name="one"))
        self.plus = known(queue.task(lambda n: n + 1, name="plus"))
        self.only = known(queue.task(self._only, name="only", unique="{key}", **options))
        self.oops = known(queue.task(lambda request, error, trace: self.told.append((request.id, type(error))), name="oops"))

    def _only(self, key: int, value: Any = 10) -> Any:
        self.ran.append(key)
        if isinstance(value, Exception):
            raise value
        return chain(self.only.si(key).set(on_conflict=value), self.one.si()) if value in CONFLICTS else value

    def swap(self, *on_conflict: str) -> list[Any]:
        """Send two tasks of two keys; in the place of each comes a step of the other's key, once both have run."""

        def swap(mine: int, other: int, how: str = "") -> Any:
            return chain(self.one.si(), task.si(other, mine).set(on_conflict=how), self.one.si()) if how else mine

        task = known(self.queue.task(swap, name="swap", unique="{mine}"))
        return [task.delay(n, 1 - n, how) for n, how in enumerate(on_conflict)]

    def work(self) -> None:
        self.queue.run_worker(burst=True)

    def check_nothing_left(self) -> None:
        self.queue.discard_dead(all=True)
        left = leaks.keys_of(self.queue._store.client(), self.queue.name)
        kinds = {key.partition("}:")[2] for key in left}
        assert kinds & {"unique", "parked:unique", "attempts", "owned", "steps", "tasks", "dead:steps"} == set()


def test_a_key_that_is_free_is_taken_when_the_step_begins(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue())
    result = chain(shop.one.s(), shop.only.si(7), shop.plus.s()).delay()
    first = shop.only.delay(7)  # the step has not begun, and has no key
    first.revoke()
    shop.work()
    assert (result.get(timeout=30), shop.ran) == (11, [7])
    assert chord([shop.only.s(1), shop.only.s(2)], shop.one.s()).delay() is not None
    shop.work()
    shop.check_nothing_left()


def test_a_key_that_another_has_is_an_error_which_can_be_retried(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue())
    first = shop.only.apply_async((7,), countdown=LATER)
    result = chain(shop.one.s(), shop.only.si(7), shop.plus.s()).on_error(shop.oops.s()).delay()
    shop.work()
    with pytest.raises(
        DuplicateTask, match=rf"task only with the unique key '7' is there already: it is task {first.id};"
    ) as caught:
        result.get(timeout=30)
    assert caught.value.task_id == first.id
    assert (shop.ran, shop.told) == ([], [(result.parent.id, DuplicateTask)])
    with pytest.raises(DuplicateTask):
        shop.queue.retry_dead(result.parent.id)
    first.revoke()
    shop.queue.retry_dead(result.parent.id)
    shop.work()
    assert (result.get(timeout=30), shop.ran) == (11, [7])
    shop.check_nothing_left()


def test_one_that_is_ignored_ends_as_the_first_does(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue(), on_conflict="ignore")
    shop.queue.pause("only")
    sent = []
    for key, value in ((1, 5), (2, ValueError("no")), (3, 0)):
        first = shop.only.delay(key, value)
        sent.append((first, chain(shop.one.s(), shop.only.si(key, "other"), shop.plus.s()).delay()))
    at_once = chain(shop.only.s(1, "other"), shop.plus.s()).delay()  # its first step
    shop.work()
    assert not any(result.ready() for _, result in sent)
    sent[2][0].revoke()
    shop.queue.resume("only")
    shop.work()
    assert [sent[0][1].get(timeout=30), at_once.get(timeout=30)] == [6, 6]
    with pytest.raises(ValueError, match="no"):
        sent[1][1].get(timeout=30)
    with pytest.raises(TaskRevoked, match=f"ends as task {sent[2][0].id}, which has the same unique key"):
        sent[2][1].get(timeout=30)
    assert shop.ran == [1, 2]
    shop.check_nothing_left()


def test_one_that_replaces_ends_the_first_where_it_waits(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue(), on_conflict="replace")
    first = shop.only.apply_async((7,), countdown=LATER)
    behind = shop.plus.apply_async((1,), depends_on=[first])
    result = chain(shop.one.s(), shop.only.si(7), shop.plus.s()).delay()
    shop.work()
    assert (result.get(timeout=30), shop.ran) == (11, [7])
    assert (first.state, behind.state) == (State.REVOKED, State.REVOKED)
    shop.check_nothing_left()


def test_members_of_one_key_are_refused_or_are_one_or_replace_each_other(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue())
    with pytest.raises(DuplicateTask, match="comes twice in what was sent together"):
        group(shop.only.s(7), shop.only.s(7)).delay()
    ignored = group(shop.only.s(7, n).set(on_conflict="ignore") for n in range(3))
    assert shop.queue.pending() == 0
    results = chain(shop.one.s(), group(shop.only.si(7, n).set(on_conflict="ignore") for n in range(3))).delay()
    shop.work()
    assert results.get(timeout=30) == [0, 0, 0]
    results = ignored.delay()
    shop.work()
    assert (results.get(timeout=30), shop.ran) == ([0, 0, 0], [7, 7])
    shop.check_nothing_left()


@pytest.mark.parametrize("on_conflict", CONFLICTS)
def test_what_takes_the_place_of_a_task_may_not_wait_for_that_itself(make_queue: MakeQueue, on_conflict: str) -> None:
    shop = Shop(make_queue())
    result = shop.only.delay(7, on_conflict)
    shop.work()
    with pytest.raises(DuplicateTask, match=f"it is task {result.id}"):
        result.get(timeout=30)
    shop.check_nothing_left()


@pytest.mark.parametrize("on_conflict", CONFLICTS)
def test_two_of_which_each_would_wait_for_the_key_of_the_other_do_not(make_queue: MakeQueue, on_conflict: str) -> None:
    shop = Shop(make_queue())
    first, second = shop.swap("replace", on_conflict)
    shop.work()
    with pytest.raises(DuplicateTask, match=f"it is task {first.id}"):
        second.get(timeout=30)
    assert first.get(timeout=30) == 1
    shop.check_nothing_left()


def test_a_step_of_another_queue_takes_its_key_there(make_queue: MakeQueue) -> None:
    shop = Shop(make_queue())
    there = Shop(make_queue())
    first = there.only.apply_async((7,), countdown=LATER)
    failed = chain(shop.one.s(), there.only.si(7), shop.plus.s()).delay()
    joined = chain(shop.one.s(), there.only.si(7).set(on_conflict="ignore"), shop.plus.s()).delay()
    fine = chain(shop.one.s(), there.only.si(8), shop.plus.s()).delay()

    def work(done: Callable[[], bool]) -> None:
        for _ in range(20):
            shop.work()
            there.work()
            if done():
                return

    work(lambda: fine.ready() and failed.ready())
    assert fine.get(timeout=30) == 11
    with pytest.raises(DuplicateTask, match=f"it is task {first.id}"):
        failed.get(timeout=30)
    assert not joined.ready()
    first.revoke()
    work(joined.ready)
    with pytest.raises(TaskRevoked):
        joined.get(timeout=30)
    for each in (there, shop):
        each.queue.discard_dead(all=True)


def test_inside_testing_it_is_the_same() -> None:
    queue = HotQueue("unique-steps", host="127.0.0.1", port=1)
    with queue.testing():
        shop = Shop(queue)
        assert chain(shop.one.s(), shop.only.si(7), shop.plus.s()).delay().get(timeout=30) == 11
        with pytest.raises(DuplicateTask, match="comes twice"):
            group(shop.only.s(7), shop.only.s(7)).delay()
        shop.queue.pause("only")
        first = shop.only.delay(7, 3)
        failed = chain(shop.one.s(), shop.only.si(7), shop.plus.s()).on_error(shop.oops.s()).delay()
        shop.queue.pause("only")
        joined = chain(shop.one.s(), shop.only.si(7).set(on_conflict="ignore"), shop.plus.s()).delay()
        shop.queue.resume("only")
        assert (first.get(timeout=30), joined.get(timeout=30)) == (3, 4)
        with pytest.raises(DuplicateTask):
            failed.get(timeout=30)
        assert shop.ran == [7, 7]
        for on_conflict in CONFLICTS:
            result = shop.only.delay(8, on_conflict)
            with pytest.raises(DuplicateTask, match=f"it is task {result.id}"):
                result.get(timeout=30)
