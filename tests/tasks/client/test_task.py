"""Sending calls: every way to, on every kind of store, run by a worker in this process."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from hotqueue import DuplicateTask, HotQueue, QueueFull, SerializationError, keys
from hotqueue.errors import TaskExpired
from hotqueue.tasks import State
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.client.handle import handle_of
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.wire import envelope
from tests.support.durations import atake_time, let_pass
from tests.tasks import sample
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def work(queue: HotQueue) -> int:
    return queue.run_worker(burst=True)


# --- the contract, on every kind of store ---------------------------------------------------------------------------


def test_a_call_is_run_by_a_worker_and_its_result_comes_back(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    result = square.delay(4)
    assert (square(3), result.state, queue.pending()) == (9, State.PENDING, 1)
    assert work(queue) == 1
    assert (result.get(timeout=30), result.state, queue.pending()) == (16, State.SUCCESS, 0)


def test_coroutines_and_functions_are_run_from_one_queue(make_queue: MakeQueue) -> None:
    queue = make_queue()
    sync, coro = queue.task(sample.square), queue.task(sample.asquare)
    results = [task.delay(n) for n in range(6) for task in (sync, coro)]
    assert work(queue) == 12
    assert [r.get(timeout=30) for r in results] == [n * n for n in range(6) for _ in range(2)]


def test_lambdas_closures_partials_and_builtins_can_be_submitted(make_queue: MakeQueue) -> None:
    queue, offset = make_queue(), 40
    results = [
        queue.submit(lambda x: x + offset, 2),
        queue.submit(partial(pow, 2), exp=10),
        queue.submit(max, [1, 3, 2]),
        queue.submit(sample.square, n=5),
    ]
    assert work(queue) == 4
    assert [r.get(timeout=30) for r in results] == [42, 1024, 3, 25]


def test_higher_priority_runs_first_and_equals_in_their_order(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note, anote = queue.task(sample.note), queue.task(priority=7)(sample.note)
    for n, priority in enumerate([0, -5, 100, 0, -100, 100]):
        note.apply_async((f"{priority} {n}",), priority=priority)
    anote.delay("7")
    work(queue)
    assert seen == ["100 2", "100 5", "7", "0 0", "0 3", "-5 1", "-100 4"]


def test_a_task_for_later_is_scheduled_and_runs_when_it_is_due(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(sample.note)
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    results = [
        note.apply_async(("countdown",), countdown=0.1),
        note.apply_async(("eta",), eta=soon),
        note.apply_async(("late",), eta=datetime(2020, 1, 1, tzinfo=UTC)),
        note.apply_async(("much later",), countdown=timedelta(hours=1)),
    ]
    assert [results[n].state for n in (2, 3)] == [State.PENDING, State.SCHEDULED]
    assert queue.pending() == 4
    work(queue)
    assert sorted(seen) == ["countdown", "eta", "late"]
    assert datetime.now(UTC) >= soon
    assert (queue.scheduled(), queue.pending()) == (1, 1)
    assert results[3].revoke() == "revoked"


def test_what_has_expired_is_never_run(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(expires=0.001)(sample.note)
    expired = [note.delay("a"), note.apply_async(("b",), expires=datetime(2020, 1, 1, tzinfo=UTC))]
    fresh = note.apply_async(("c",), expires=60)
    fresh_too = note.apply_async(("d",), expires=timedelta(minutes=1))
    let_pass(0.01)
    work(queue)
    assert seen == ["c", "d"]
    assert (fresh.state, fresh_too.get(timeout=30)) == (State.SUCCESS, "d")
    for result in expired:
        with pytest.raises(TaskExpired, match="after its expires"):
            result.get(timeout=30)
        assert result.state is State.REVOKED


def test_the_same_id_again_is_the_same_task(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(sample.note)
    first, again = (note.apply_async((n,), task_id="invoice-17") for n in (1, 2))
    assert (first, queue.pending()) == (again, 1)
    work(queue)
    assert again.get(timeout=30) == 1
    assert note.apply_async((3,), task_id="invoice-17").get(timeout=30) == 1
    assert (work(queue), seen) == (0, [1])


def test_the_same_id_without_a_result_is_known_too(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(ignore_result=True)(sample.note)
    note.apply_async((1,), task_id="x")
    work(queue)
    assert note.apply_async((2,), task_id="x").get(timeout=30) is None
    assert (work(queue), seen) == (0, [1])


def test_map_sends_in_bulk_and_keeps_the_order(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(2500))
    assert (len(results), queue.pending()) == (2500, 2500)
    assert work(queue) == 2500
    assert results.get(timeout=30) == [n * n for n in range(2500)]


def test_amap_sends_as_map_does(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)

    async def main() -> None:
        with pytest.raises(TypeError, match=r"map\(\) takes the items, one call each, not 5"):
            await square.amap(5)  # type: ignore[arg-type]
        results = await square.amap(iter(range(2500)))
        async with queue.batch():
            results_2 = await square.amap([7])
            assert queue.pending() == 2500
        assert await asyncio.to_thread(work, queue) == 2501
        assert await results == [n * n for n in range(2500)]
        assert await results_2 == [49]

    asyncio.run(main())


def test_amap_says_how_many_were_sent_as_map_does(make_queue: MakeQueue) -> None:
    queue = make_queue(max_waiting=1500)
    once = queue.task(unique="{n}")(sample.square)
    once.delay(1200)
    with pytest.raises(DuplicateTask, match=r"item 1200 of map\(\).*; 1,000 calls before these were sent"):
        asyncio.run(once.amap(range(1300)))
    for send in (queue.task(sample.double).map, once.map, lambda items: asyncio.run(once.amap(items))):
        queue.purge()
        with pytest.raises(QueueFull, match=r"; 1,000 calls of map\(\) were sent before"):
            send(range(2000))
    queue.purge()


def test_a_name_is_no_longer_than_it_may_be(make_queue: MakeQueue) -> None:
    """Envelopes, gates and unique keys have it in them."""
    queue = make_queue()
    queue.task(name="é" * 500, max_concurrency=1, unique=True)(sample.square).delay(1)
    queue.purge()
    for name in ("é" * 501, "x" * 1001, "x" * 70_000):
        with pytest.raises(TypeError, match=r"name= takes a str of at most 1,000 bytes without spaces, not .(x{20}|é{20})"):
            queue.task(name=name, max_concurrency=1)(sample.square)


def test_a_call_can_go_to_another_queue_of_the_store(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other = make_queue(), make_queue(queue_name + "-other")
    note = queue.task(sample.note)
    other.task(sample.note)
    results = [note.apply_async((1,), queue=other.name), queue.task(queue=other.name)(sample.square).apply_async((2,))]
    assert (queue.pending(), other.pending()) == (0, 2)
    assert work(queue) == 0
    other.task(sample.square)
    assert work(other) == 2
    assert [r.get(timeout=30) for r in results] == [1, 4]


def test_all_calls_of_a_task_go_to_the_queue_that_its_author_names(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other = make_queue(), make_queue(queue_name + "-other")
    square = queue.task(queue=other.name)(sample.square)
    only = queue.task(queue=other.name, unique=True, on_conflict="ignore", name="only")(sample.square)
    queue.task(queue=queue.name, name="own")(sample.square).delay(7)

    async def main() -> list[Any]:
        sent = [await square.adelay(3), *await square.amap([4, 5])]
        await queue.aclose()
        return sent

    with queue.batch():
        results = [square.delay(1), square.s(2).delay()]
    results += [*asyncio.run(main()), *square.map([6]), queue.send(square.name, (7,)), only.delay(8), queue.submit(square, 9)]
    assert [handle_of(result).queue for result in [*results, *only.map([8])]] == [other.name] * 10
    assert (queue.pending(), other.pending()) == (1, 9)
    other.task(sample.square)
    other.task(name="only")(sample.square)
    assert (work(other), work(queue)) == (9, 1)
    assert [result.get(timeout=30) for result in results] == [n * n for n in range(1, 10)]


@only_server
def test_an_option_that_is_none_is_said_however_the_call_is_sent(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="square", time_limit=5)(sample.square)
    sent = [task.apply_async((2,), time_limit=None), task.apply_async((2,), time_limit=None, link=task.s())]

    async def main() -> None:
        sent.append(await task.aapply_async((2,), time_limit=None, countdown=None))
        sent.append(await task.s(2).aapply_async(time_limit=None))
        await queue.aclose()

    asyncio.run(main())
    stored = [client_of(queue).store.client().hget(keys.tasks(queue.name), result.id) for result in sent]
    assert [envelope.decode(each).header["options"] for each in stored] == [{"time_limit": None}] * 4
    work(queue)


def test_asyncio_twins_send_and_wait(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square, asquare = queue.task(sample.square), queue.task(sample.asquare)

    async def main() -> list[Any]:
        try:
            results = [await square.adelay(2), await asquare.adelay(3)]
            later = await square.aapply_async([4], countdown=3600, task_id="mine", priority=None)
            assert (later.id, later.state, later.revoke()) == ("mine", "SCHEDULED", "revoked")
            with pytest.raises(TypeError, match="did you mean 'countdown'"):
                await square.aapply_async((4,), countdwn=1)
            await asyncio.to_thread(work, queue)
            return [await results[0], await results[1].aget(timeout=30)]
        finally:
            await queue.aclose()

    assert asyncio.run(main()) == [4, 9]


def test_a_running_task_knows_its_request(make_queue: MakeQueue) -> None:
    queue = make_queue()
    eta = datetime(2020, 1, 1, tzinfo=UTC)
    results = [
        queue.task(name=f"request-{fn.__name__}")(fn).apply_async(task_id=fn.__name__, headers={"trace": [1]}, eta=eta)
        for fn in (sample.request, sample.arequest)
    ]
    work(queue)
    for result in results:
        found = result.get(timeout=30)
        assert found.pop("worker")
        assert found == {
            "id": result.id,
            "task": f"request-{result.id}",
            "retries": 0,
            "deliveries": 1,
            "queue": queue.name,
            "eta": eta,
            "headers": {"trace": [1]},
            "lost": False,
        }


# --- one kind is enough ---------------------------------------------------------------------------------------------


@only_server
def test_a_number_that_python_does_not_print_can_be_sent(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(sample.square).delay(10**3000 - 1), queue.submit(int.bit_length, 1 << 20_000)
    assert work(queue) == 2
    assert [each.get(timeout=30) for each in result] == [(10**3000 - 1) ** 2, 20_001]


@only_server
class TestTask:
    def test_a_task_looks_like_its_function(self, make_queue: MakeQueue) -> None:
        square = make_queue().task(sample.square)
        assert (square.__name__, square.__wrapped__, square.name) == ("square", sample.square, "tests.tasks.sample.square")
        assert repr(square).startswith("<Task tests.tasks.sample.square on queue")

    def test_a_name_of_ones_own(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        assert queue.task(name="my-name")(sample.square).name == "my-name"
        assert set(queue.tasks) == {"my-name"}
        for wrong in ("", "a b", 3, "\ud800"):
            with pytest.raises(TypeError, match="name="):
                queue.task(name=wrong)

    def test_bind_gives_the_task_as_first_argument(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        bound = queue.task(bind=True)(sample.bound)

        @queue.task(bind=True)
        def by_value(self: Task[..., Any], n: int) -> tuple[str, int, int]:
            return self.name, self.request.retries, n

        results = [bound.delay(5), by_value.delay(6)]
        work(queue)
        assert [r.get(timeout=30)[1:] for r in results] == [(0, 5), (0, 6)]
        assert bound.name == results[0].get(timeout=30)[0]
        with pytest.raises(TypeError, match="takes none"):
            queue.task(bind=True)(lambda: None)

    def test_a_task_that_is_no_function_is_refused(self, make_queue: MakeQueue) -> None:
        with pytest.raises(TypeError, match="decorates a function"):
            make_queue().task(3)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="takes a callable"):
            make_queue().submit(3)  # type: ignore[arg-type]

    def test_a_task_can_be_pickled_with_its_queue(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        square = pickle.loads(pickle.dumps(queue.task(sample.square)))
        result = square.delay(6)
        work(queue)
        assert result.get(timeout=30) == 36

    def test_a_task_that_travels_by_value_can_send_itself_again(self, make_queue: MakeQueue) -> None:
        queue = make_queue()

        @queue.task
        def countdown(n: int, total: int = 0) -> Any:
            return total if n == 0 else countdown.delay(n - 1, total + n)

        result = countdown.delay(3)
        work(queue)
        for _ in range(3):
            result = result.get(timeout=30)  # type: ignore[assignment]
        assert result.get(timeout=30) == 6

    def test_a_task_may_send_tasks_and_the_burst_runs_them(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        square, asquare = queue.task(sample.square), queue.task(sample.asquare)

        @queue.task
        def sync_parent() -> Any:
            return [square.delay(2), asquare.delay(3)]

        @queue.task
        async def async_parent() -> Any:
            return [await square.adelay(4), await asquare.adelay(5)]

        parents = [sync_parent.delay(), async_parent.delay()]
        work(queue)
        assert [[child.get(timeout=30) for child in parent.get(timeout=30)] for parent in parents] == [[4, 9], [16, 25]]

    @pytest.mark.parametrize("first", ["sync", "coro"])
    def test_a_burst_follows_tasks_from_kind_to_kind(self, make_queue: MakeQueue, first: str) -> None:
        queue = make_queue()

        @queue.task(name="coro")
        async def coro(left: int) -> Any:
            await atake_time(0.05)
            return await queue.tasks["sync"].adelay(left - 1) if left else "end"

        @queue.task(name="sync")
        def sync(left: int) -> Any:
            return queue.tasks["coro"].delay(left - 1) if left else "end"

        for task in (sync, coro):
            definition_of(task).by_value = False
        result = queue.tasks[first].delay(5)
        assert work(queue) == 6
        for _ in range(6):
            result = result.get(timeout=30)
        assert result == "end"

    def test_ids_are_of_200_bytes_at_most_and_any_characters(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        ids = ["é" * 100, "with space", "{brace}", "x" * 200]
        results = [queue.task(sample.note).apply_async((i,), task_id=i) for i in ids]
        work(queue)
        assert [queue.result(r.id).get(timeout=30) for r in results] == ids

    def test_one_calls_options_override_the_tasks(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        note = queue.task(ignore_result=True, result_expires=100, max_retries=0)(sample.note)
        kept = note.apply_async(("kept",), ignore_result=False)
        dropped = note.delay("dropped")
        work(queue)
        assert (kept.get(timeout=30), dropped.get(timeout=30)) == ("kept", None)

    def test_a_large_call_arrives_whole_and_a_huge_one_is_refused(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.note).delay(b"x" * 6_000_000)
        work(queue)
        assert len(result.get(timeout=30)) == 6_000_000
        with pytest.raises(SerializationError, match=r"take 67,108,.* bytes pickled, but a task may have 64 MB"):
            queue.task(sample.note).delay(b"x" * (64 * 1024 * 1024))
