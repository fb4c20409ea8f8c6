"""What a task keeps for its next run, as its author sees it: states, loops, and both together; on every kind of server.

Of this kind: what it is after a retry, when the task is dead and retried, when it has ended; what cannot be kept; loops
of all sorts.
Processes that die: tests/crash/test_checkpoints.py.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hotqueue import HotQueue, TaskExpired, keys
from hotqueue.sizes import CHECKPOINT_MAX
from hotqueue.tasks import AsyncResult, Reject, current_task
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
AGAIN = {"retries": 5, "retry_backoff": False, "default_retry_delay": 0}


@pytest.fixture
def queue(make_queue: MakeQueue) -> HotQueue:
    return make_queue()


def run(queue: HotQueue, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what a task returns that a worker in this process runs."""
    result: AsyncResult[Any] = queue.task(**{**AGAIN, **options})(function).delay(*args)
    queue.run_worker(burst=True)
    return result.get(30)


def left(queue: HotQueue) -> list[str]:
    """Return which of the keys there are that say what tasks have kept."""
    client = queue._store.client()
    return [key for key in (keys.checkpoints(queue.name), keys.attempts(queue.name)) if client.exists(key)]


def fail_until(retries: int) -> None:
    if current_task.request.retries < retries:
        raise OSError("again")


# --- states --------------------------------------------------------------------------------------------------------------


def count_up() -> list[Any]:
    found = [current_task.resumed]
    current_task.checkpoint({"n": (found[0] or {"n": 0})["n"] + 1})
    found.append(current_task.resumed)
    fail_until(2)
    return found


async def acount_up() -> list[Any]:
    found = [current_task.resumed]
    await current_task.acheckpoint({"n": (found[0] or {"n": 0})["n"] + 1})
    found.append(current_task.resumed)
    fail_until(2)
    return found


@pytest.mark.parametrize("function", [count_up, acount_up])
def test_a_retry_gets_what_the_run_before_kept_last(queue: HotQueue, function: Callable[..., Any]) -> None:
    assert run(queue, function) == [{"n": 2}, {"n": 2}]
    assert left(queue) == []
    with queue.testing():
        assert queue.task(**AGAIN)(function).delay().get() == [{"n": 2}, {"n": 2}]


@pytest.mark.servers("server")
def test_an_async_task_may_keep_it_as_others_do(queue: HotQueue) -> None:
    async def keep() -> Any:
        current_task.checkpoint(1)
        fail_until(1)
        return current_task.resumed

    assert run(queue, keep) == 1


@pytest.mark.servers("server")
def test_it_is_signed_where_the_queue_is(make_queue: MakeQueue) -> None:
    queue = make_queue(secret_key="a" * 32)
    assert run(queue, count_up) == [{"n": 2}, {"n": 2}]
    task = queue.task(retries=0)(keep_and_die)
    result = task.delay()
    queue.run_worker(burst=True)
    client, key = queue._store.client(), keys.checkpoints(queue.name)
    client.hset(key, result.id, client.hget(key, result.id)[:-1] + b"x")
    queue.retry_dead(result.id)
    queue.run_worker(burst=True)
    (dead,) = queue.dead()
    assert "signature" in str(dead.message)


def keep_and_die() -> Any:
    if current_task.resumed is None:
        current_task.checkpoint("kept")
        raise Reject("no more")
    return current_task.resumed


@pytest.mark.servers("server")
def test_a_dead_task_that_is_retried_goes_on(queue: HotQueue) -> None:
    task = queue.task(keep_and_die)
    result = task.delay()
    queue.run_worker(burst=True)
    assert left(queue) == [keys.checkpoints(queue.name)]
    queue.retry_dead(result.id)
    queue.run_worker(burst=True)
    assert (result.get(30), left(queue)) == ("kept", [])
    with queue.testing():
        result = task.delay()
        queue.retry_dead(result.id)
        assert result.get() == "kept"


@pytest.mark.servers("server")
@pytest.mark.parametrize("how", ["discard", "revoke", "purge", "expire"])
def test_what_it_kept_goes_with_the_task_however_that_ends(queue: HotQueue, how: str) -> None:
    @queue.task(max_retries=1, default_retry_delay=1000, retry_backoff=False)
    def later() -> None:
        current_task.checkpoint(1)
        if how == "discard":
            raise Reject("no")
        current_task.retry()

    result = later.apply_async(expires=1000 if how == "expire" else None)
    queue.run_worker(burst=True)
    assert keys.checkpoints(queue.name) in left(queue)
    if how == "discard":
        queue.discard_dead(result.id)
    elif how == "revoke":
        result.revoke()
    elif how == "purge":
        queue.purge()
    else:
        client, key = queue._store.client(), keys.attempts(queue.name)
        words = client.hget(key, result.id).decode().split(" ")
        client.hset(key, result.id, " ".join([*words[:3], "1", *words[4:]]))  # ms since the epoch
        with pytest.raises(TaskExpired):
            result.get(30)
    assert left(queue) == []


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda: b"x" * CHECKPOINT_MAX,
            "it takes 256 KB pickled, and a checkpoint may have 256 KB; store",
        ),
        (lambda: bytes(70 << 20), "it takes 70 MB pickled"),
        (threading.Lock, "lock cannot be pickled"),
    ],
)
def test_what_cannot_be_kept_says_so_and_leaves_what_was(
    queue: HotQueue, make: Callable[[], Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    def keep() -> Any:
        if current_task.request.retries == 0:
            current_task.checkpoint("before")
            current_task.checkpoint(make())
        return current_task.resumed

    assert run(queue, keep) == "before"
    assert why in caplog.text


@pytest.mark.servers("server")
def test_a_task_that_keeps_nothing_leaves_and_asks_nothing(queue: HotQueue) -> None:
    client = queue._store.client()
    client.config_resetstat()
    assert run(queue, sample.double, 2) == 4
    said = client.info("commandstats")
    assert not {"cmdstat_hget", "cmdstat_pexpire"} & {name for name, stat in said.items() if "checkpoint" in name}
    assert left(queue) == []


# --- loops ---------------------------------------------------------------------------------------------------------------


def walk() -> list[tuple[int, str]]:
    seen = []
    for item in current_task.iterate("abcdefgh"):
        seen.append((current_task.request.retries, item))
        if (current_task.request.retries, item) in [(0, "c"), (1, "c"), (2, "g")]:
            raise OSError(item)
    return seen


async def awalk() -> list[tuple[int, str]]:
    seen = []
    async for item in current_task.iterate("abcdefgh"):
        seen.append((current_task.request.retries, item))
        if (current_task.request.retries, item) in [(0, "c"), (1, "c"), (2, "g")]:
            raise OSError(item)
    return seen


@pytest.mark.parametrize("function", [walk, awalk])
def test_a_loop_goes_on_at_the_item_behind_the_last_that_ended(queue: HotQueue, function: Callable[..., Any]) -> None:
    assert run(queue, function) == [(3, "g"), (3, "h")]
    assert left(queue) == []
    with queue.testing():
        assert queue.task(**AGAIN)(function).delay().get() == [(3, "g"), (3, "h")]


@pytest.mark.servers("server")
def test_a_state_that_is_kept_in_a_loop_fits_where_it_goes_on(queue: HotQueue) -> None:
    def add_up() -> int:
        total: int = current_task.resumed or 0
        for item in current_task.iterate(range(1, 1001)):
            total += item
            current_task.checkpoint(total)  # and then the item fails
            if current_task.request.retries == item // 300:
                raise OSError(item)
        return total

    assert run(queue, add_up) == sum(range(1, 1001))


@pytest.mark.servers("server")
def test_loops_may_be_in_one_another_and_one_behind_the_other(queue: HotQueue) -> None:
    def walk_all() -> list[object]:
        seen: list[object] = []
        for outer in current_task.iterate(range(3)):
            for inner in current_task.iterate(range(3)):
                seen.append((outer, inner))
                if (outer, inner) == (1, 1) and current_task.request.retries == 0:
                    raise OSError
        for item in current_task.iterate("xyz"):
            seen.append(item)
            if item == "y" and current_task.request.retries == 1:
                raise OSError
            if current_task.request.retries == 1:
                return seen
        return seen

    def with_return() -> list[object]:
        return walk_all()

    assert run(queue, with_return) == [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2), "x"]


@pytest.mark.servers("server")
def test_an_item_that_is_left_by_break_has_not_ended(queue: HotQueue) -> None:
    def leave() -> list[int]:
        seen = []
        for item in current_task.iterate(range(10)):
            seen.append(item)
            if item == 4:
                break
        current_task.checkpoint("behind the loop")  # at once
        fail_until(1)
        return [*seen, current_task.resumed]

    assert run(queue, leave) == [4, "behind the loop"]


class Pages:
    """A sequence whose items are made when they are asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, at: int) -> int:
        self.asked.append(at)
        return at


def test_any_items_that_come_in_an_order_will_do(queue: HotQueue) -> None:
    import collections.abc

    collections.abc.Sequence.register(Pages)

    async def numbers() -> AsyncIterator[int]:
        for n in range(5):
            yield n

    async def through_all() -> list[Any]:
        found: list[Any] = []
        for make in (lambda: [0, 1, 2, 3, 4], lambda: range(5), lambda: iter(range(5)), lambda: dict.fromkeys(range(5)), numbers):
            items = []
            async for item in current_task.iterate(make()):
                items.append(item)
                if item == 2 and current_task.request.retries == len(found):
                    raise OSError
            found.append(items)
        return found

    def pages() -> list[int]:
        made = Pages()
        for item in current_task.iterate(made):  # type: ignore[call-overload]
            if item == 3:
                fail_until(1)
        return made.asked

    assert run(queue, through_all)[-1] == [2, 3, 4]
    assert run(queue, pages) == [3, 4]


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("wrong", "why"), [({1, 2}, "in the same order in every process, not a set"), (3, "takes a sequence, not 3")]
)
def test_what_has_no_order_is_refused(queue: HotQueue, wrong: Any, why: str) -> None:
    def through() -> None:
        for _ in current_task.iterate(wrong):
            pass

    with pytest.raises(TypeError, match=why):
        run(queue, through, retries=0)


@pytest.mark.servers("server")
def test_outside_of_a_task_there_is_none_of_it() -> None:
    for use in (lambda: current_task.resumed, lambda: current_task.checkpoint(1), lambda: current_task.iterate([])):
        with pytest.raises(RuntimeError, match="no task is running here"):
            use()
