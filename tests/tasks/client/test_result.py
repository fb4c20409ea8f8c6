"""The handle to a task's outcome: waiting, states, every kind of exception, many at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotqueue import HotQueue, RemoteError, ResultTimeout, SerializationError
from hotqueue.errors import RemoteTraceback, TaskError, TaskExpired, TaskRejected, TaskRevoked
from hotqueue.tasks import AsyncResult, State, UnknownTask
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.sample import seen
from tests.tasks.working import work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


# --- the contract, on every kind of store ---------------------------------------------------------------------------


def test_states_from_sending_to_the_end(make_queue: MakeQueue) -> None:
    queue = make_queue()
    ok, bad = queue.task(sample.square).delay(2), queue.task(sample.boom).delay("é")
    assert {r.state for r in (ok, bad)} == {State.PENDING}
    assert (ok.ready(), ok.successful(), ok.failed(), ok.result, ok.traceback, ok.date_done) == (
        False,
        False,
        False,
        None,
        None,
        None,
    )
    work(queue)
    assert (ok.status, ok.ready(), ok.successful(), ok.failed()) == (State.SUCCESS, True, True, False)
    assert (bad.status, bad.ready(), bad.successful(), bad.failed()) == (State.FAILURE, True, False, True)
    assert (ok.result, ok.traceback, ok.retries) == (4, None, 0)
    assert isinstance(bad.result, OSError)
    assert "OSError: [Errno 5] é" in (bad.traceback or "")
    assert abs((ok.date_done or datetime.min.replace(tzinfo=UTC)) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_tasks_own_exception_is_raised_with_the_remote_traceback_as_its_cause(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(sample.boom).delay("no")
    work(queue)
    for _ in range(2):
        with pytest.raises(OSError, match="no") as caught:
            result.get(timeout=30)
        assert caught.value.args == (5, "no")
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        assert "in boom" in str(caught.value.__cause__)
        assert "executor.py" not in str(caught.value.__cause__)
    assert isinstance(result.get(timeout=5, propagate=False), OSError)


def test_an_unknown_id_is_unknown_and_get_does_not_hang(make_queue: MakeQueue) -> None:
    result = make_queue().result("never-was")
    assert (result.state, result.ready(), result.result, result.retries, result.history) == (State.UNKNOWN, False, None, 0, [])
    with pytest.raises(UnknownTask, match="never sent there, or its result has expired"):
        result.get(timeout=30)
    assert result.revoke() == "finished or unknown"


def test_a_waiter_is_told_as_soon_as_the_task_ends(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [queue.task(sample.square).delay(3), queue.task(sample.large).delay(200_000)]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(r.get, 20) for r in results]
        wait_until(lambda: len(queue._store.command(key := f"{{{queue.key}}}:waiters", "HKEYS", key)) == 2)
        work(queue)
        assert [len(f.result()) if n else f.result() for n, f in enumerate(waiting)] == [9, 200_000]


def test_a_revoked_task_never_runs_and_get_raises(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(sample.note)
    waiting, later = note.delay(1), note.apply_async((2,), countdown=60)
    assert (waiting.revoke(), later.revoke(terminate=True)) == ("revoked", "revoked")
    assert (work(queue), seen) == (0, [])
    for result in (waiting, later):
        assert result.state is State.REVOKED
        assert result.ready()
        with pytest.raises(TaskRevoked, match=result.id):
            result.get(timeout=30)
        assert result.revoke() == "finished or unknown"


# --- one kind is enough: exceptions ---------------------------------------------------------------------------------


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NeedsTwo(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}{two}")


class Unpicklable(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("I stay here")


class AsyncNoise(BaseException):
    pass


def raise_by_name(name: str) -> None:
    made: dict[str, Callable[[], BaseException]] = {
        "BadStr": BadStr,
        "NeedsTwo": lambda: NeedsTwo(1, 2),
        "Unpicklable": lambda: Unpicklable("here"),
        "huge": lambda: ValueError("x" * 5_000_000),
        "blank": lambda: ValueError("\n"),
        "SystemExit": lambda: SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt,
        "GeneratorExit": GeneratorExit,
        "CancelledError": asyncio.CancelledError,
        "StopIteration": lambda: StopIteration(3),
        "AsyncNoise": lambda: AsyncNoise("odd"),
    }
    if name == "group":
        raise ExceptionGroup("many", [ValueError(1), OSError(2)])
    if name == "nested":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    if name == "recursion":
        raise_by_name(name)
    raise made[name]()


async def araise_by_name(name: str) -> None:
    await asyncio.sleep(0)
    raise_by_name(name)


NAMES: dict[str, tuple[type[Exception], ...]] = {
    "BadStr": (BadStr,),
    "NeedsTwo": (NeedsTwo,),
    "Unpicklable": (RemoteError, Unpicklable),
    "huge": (RemoteError, ValueError),
    "blank": (ValueError,),
    "SystemExit": (RemoteError,),
    "KeyboardInterrupt": (RemoteError,),
    "GeneratorExit": (RemoteError,),
    "CancelledError": (RemoteError,),
    "StopIteration": (RemoteError,),
    "AsyncNoise": (RemoteError,),
    "group": (ExceptionGroup,),
    "nested": (ValueError,),
    "recursion": (RecursionError,),
}


@only_server
@pytest.mark.parametrize("function", [raise_by_name, araise_by_name])
def test_whatever_a_task_raises_is_its_failure_and_the_worker_goes_on(make_queue: MakeQueue, function: Any) -> None:
    queue = make_queue()
    task, square = queue.task(function), queue.task(sample.square)
    results = {name: task.delay(name) for name in NAMES}
    after = square.delay(5)
    work(queue)
    assert after.get(timeout=30) == 25
    for name, kinds in NAMES.items():
        wanted = (RuntimeError,) if (name, function) == ("StopIteration", araise_by_name) else kinds  # so says PEP 479
        assert results[name].state is State.FAILURE
        with pytest.raises(wanted) as caught:
            results[name].get(timeout=30)
        found = results[name].get(timeout=5, propagate=False)
        assert type(found) is wanted[0] if len(wanted) == 1 else all(isinstance(found, kind) for kind in wanted), name
        if name not in ("BadStr", "recursion"):
            assert len(str(caught.value)) < 11_000
    assert sorted(dead.id for dead in queue.dead()) == sorted(r.id for r in results.values())
    queue.discard_dead(all=True)


@only_server
def test_a_system_exit_in_an_asyncio_task_that_a_task_started_does_not_end_the_worker(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task
    async def gathers() -> None:
        async def leave() -> None:
            raise SystemExit(1)

        await asyncio.gather(leave())

    result, after = gathers.delay(), queue.task(sample.asquare).delay(3)
    work(queue)
    assert after.get(timeout=30) == 9
    with pytest.raises(RemoteError, match="SystemExit: 1"):
        result.get(timeout=30)
    queue.discard_dead(all=True)


@only_server
def test_a_result_that_cannot_be_pickled_is_a_failure_that_says_so(make_queue: MakeQueue) -> None:
    queue = make_queue()
    kept, ignored = queue.task(sample.lock).delay(), queue.task(sample.lock).apply_async(ignore_result=True)
    work(queue)
    with pytest.raises(SerializationError, match=r"lock ran to its end, but its result cannot be stored: lock cannot be pickled"):
        kept.get(timeout=30)
    assert ignored.get(timeout=30) is None
    queue.discard_dead(all=True)


@only_server
def test_an_exception_whose_class_is_unknown_here_arrives_as_a_remote_error(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task
    def raises_local() -> None:
        import sys
        import types

        module = types.ModuleType("vanishing")
        sys.modules["vanishing"] = module
        exec("class Odd(Exception): pass", module.__dict__)
        raise module.Odd("gone")

    result = raises_local.delay()
    work(queue)
    import sys

    del sys.modules["vanishing"]
    with pytest.raises(RemoteError, match=r"vanishing.Odd: gone") as caught:
        result.get(timeout=30)
    assert (caught.value.class_path, caught.value.message) == ("vanishing.Odd", "gone")
    assert "raises_local" in caught.value.traceback
    queue.discard_dead(all=True)


# --- one kind is enough: how long a result is known -----------------------------------------------------------------


@only_server
class TestExpiry:
    def test_a_result_that_has_expired_is_unknown(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        results = [queue.task(result_expires=0.01)(f).delay() for f in (sample.note, sample.boom)]
        work(queue)
        wait_until(lambda: queue.result(results[0].id).state is not State.SUCCESS)
        wait_until(lambda: not queue._tasks.broker.look(results[1].id).record)
        assert queue.result(results[0].id).state is State.UNKNOWN
        with pytest.raises(UnknownTask, match="expired"):
            results[0].get(timeout=30)
        queue.discard_dead(all=True)

    def test_a_dead_task_is_a_failure_longer_than_its_result_is_kept(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(result_expires=0.01)(sample.boom).delay()
        work(queue)
        wait_until(lambda: not queue._tasks.broker.look(result.id).record)
        assert result.state is State.FAILURE
        with pytest.raises(RemoteError, match="OSError") as caught:
            result.get(timeout=30)
        assert "in boom" in str(caught.value.__cause__)
        queue.discard_dead(all=True)
        assert result.state is State.UNKNOWN

    def test_the_id_of_an_expired_result_is_known_for_a_while(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        note = queue.task(result_expires=0.01)(sample.note)
        note.apply_async((1,), task_id="x")
        work(queue)
        wait_until(lambda: not queue._tasks.broker.look("x").record)
        note.apply_async((2,), task_id="x")
        assert (work(queue), seen) == (0, [1])

    def test_an_ignored_result_is_none_and_a_success(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        results = [queue.task(ignore_result=True)(sample.note).delay(5), queue.task(sample.ignore).delay()]
        results.append(queue.task(result_expires=0)(sample.note).delay(6))
        work(queue)
        assert [(r.get(timeout=30), r.state) for r in results] == [(None, State.SUCCESS)] * 3

    def test_a_forgotten_result_is_unknown(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.note).delay(5)
        work(queue)
        assert result.get(timeout=30) == 5
        result.forget()
        assert result.state is State.UNKNOWN
        with pytest.raises(UnknownTask):
            result.get(timeout=30)

    def test_get_of_a_task_past_its_expiry_ends_it_though_no_worker_listens(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.note).apply_async((1,), expires=0.05)
        with pytest.raises(TaskExpired):
            result.get(timeout=30)
        assert result.state is State.REVOKED
        assert (work(queue), seen) == (0, [])


# --- one kind is enough: timeouts that say why ----------------------------------------------------------------------


@only_server
class TestTimeout:
    def reason(self, result: AsyncResult[Any]) -> str:
        with pytest.raises(ResultTimeout, match=f"no result of task {result.id} within 0.01 s: ") as caught:
            result.get(timeout=0.01)
        assert isinstance(caught.value, TimeoutError)
        return str(caught.value)

    def test_nobody_listens(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.square).delay(1)
        assert "no worker listens on queue" in self.reason(result)
        assert str(queue._store) in self.reason(result)

    def test_whoever_listened_lately_may_be_starting_again(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        square = queue.task(sample.square)
        square.delay(1)
        work(queue)
        with pytest.raises(
            ResultTimeout, match=r"no worker listens on queue .* just now, but one did .*: if it is starting again, ask"
        ):
            square.delay(2).get(timeout=0.1)

    def test_it_is_for_later(self, make_queue: MakeQueue) -> None:
        when = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert "scheduled for 2099-01-02 03:04:05 UTC" in self.reason(
            make_queue().task(sample.square).apply_async((1,), eta=when)
        )

    def test_it_waits_for_a_worker_that_knows_it(self, make_queue: MakeQueue) -> None:
        queue, worker = make_queue(), make_queue()
        result = queue.task(name="shop.pay")(sample.square).delay(1)
        work(worker)
        assert result.state is State.PENDING
        assert "no worker of queue" in self.reason(result)
        assert "knows a task 'shop.pay'" in self.reason(result)
        worker.task(name="shop.pay")(sample.square)
        work(worker)
        assert result.get(timeout=30) == 1

    def test_the_queue_is_paused_or_others_are_ahead(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        results = queue.task(sample.square).map(range(3))
        ended = threading.Event()
        queue.pause()
        worker = threading.Thread(target=lambda: (queue.run_worker(max_tasks=3), ended.set()))
        worker.start()
        wait_until(queue.workers)
        assert f"queue '{queue.name}' is paused" in self.reason(results[2])
        queue.resume()
        assert results.get(timeout=30) == [0, 1, 4]
        worker.join()

    def test_the_queue_is_paused_and_nobody_is_there(self, make_queue: MakeQueue) -> None:
        """Both, for to start a worker alone would not help."""
        queue = make_queue()
        queue.pause()
        result = queue.submit(print)
        assert f"queue '{queue.name}' is paused, and no worker listens on it" in self.reason(result)
        assert queue.run_worker(burst=True) == 0  # so that one did
        assert f"queue '{queue.name}' is paused, and no worker listens on it" in self.reason(result)
        queue.resume()

    def test_as_completed_times_out_too(self, make_queue: MakeQueue) -> None:
        results = make_queue().task(sample.square).map([1, 2])
        with pytest.raises(ResultTimeout, match="no worker listens"):
            list(results.as_completed(timeout=0.05))
        with pytest.raises(ResultTimeout):
            results.get(timeout=0.05)

    def test_a_timeout_is_a_duration(self, make_queue: MakeQueue) -> None:
        result = make_queue().task(sample.square).delay(1)
        with pytest.raises(ResultTimeout):
            result.get(timeout=timedelta(milliseconds=10))
        with pytest.raises(TypeError, match="timeout"):
            result.get(timeout="5")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^get\(\) got an unknown option 'timout'; did you mean 'timeout'\?"):
            result.get(timout=5)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^aget\(\) got an unknown option 'timout'"):
            asyncio.run(result.aget(timout=5))  # type: ignore[call-arg]


# --- one kind is enough: many waiters, processes --------------------------------------------------------------------


@only_server
def test_fifty_threads_and_a_thousand_coroutines_wait_on_one_connection(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = queue.task(sample.square).map(range(50))

    def blocked() -> int:
        clients = queue._store.client().client_list()
        return sum(c["cmd"] == "blpop" and c["flags"] == "b" for c in clients if c["name"] == "")

    before = blocked()
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(r.get, 30) for r in results]
        wait_until(lambda: blocked() > before)
        wait_until(lambda: len(queue._tasks.replies(queue.name)._watches.tasks) == 50)
        assert blocked() == before + 1
        work(queue)
        assert [f.result() for f in waiting] == [n * n for n in range(50)]

    results = queue.task(sample.asquare).map(range(1000))

    async def main() -> list[int]:
        try:
            waiting = asyncio.gather(*(r.aget(timeout=60) for r in results))
            await asyncio.gather(asyncio.to_thread(work, queue), waiting)
            return waiting.result()
        finally:
            await queue.aclose()

    assert asyncio.run(main()) == [n * n for n in range(1000)]


def _in_child(pickled: bytes, answers: Any) -> None:
    queue, result = pickle.loads(pickled)
    answers.put((result.get(timeout=30), queue.submit(sample.square, 7).id))


@only_server
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_queues_and_results_travel_to_other_processes(make_queue: MakeQueue, method: Any) -> None:
    queue = make_queue()
    result = queue.task(sample.square).delay(6)
    work(queue)
    assert result.get(timeout=30) == 36
    context = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(pickle.dumps((queue, result)), answers))
    child.start()
    value, task_id = answers.get()
    child.join()
    work(queue)
    assert (value, queue.result(task_id).get(timeout=30)) == (36, 49)


@only_server
def test_a_forked_child_uses_connections_and_a_reply_list_of_its_own(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(sample.square)
    first = square.delay(2)
    work(queue)
    assert first.get(timeout=30) == 4
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            results = square.map(range(5))
            queue.run_worker(burst=True)
            os.write(write, repr(results.get(timeout=30)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"[0, 1, 4, 9, 16]"
    os.waitpid(pid, 0)
    again = square.delay(3)
    work(queue)
    assert again.get(timeout=30) == 9


@only_server
class TestHandles:
    def test_equal_handles_are_of_one_task(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.square).delay(1)
        assert result == queue.result(result.id)
        assert len({result, queue.result(result.id), queue.result("other")}) == 2
        assert result.id in repr(result)

    def test_progress_is_what_the_task_reported_last(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.progress).delay(3)
        assert result.progress is None
        work(queue)
        assert result.progress == {"done": 3, "total": 10, "message": "on the way"}

    def test_a_rejected_task_says_why(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.reject).delay("bad input")
        work(queue)
        with pytest.raises(TaskRejected, match="bad input"):
            result.get(timeout=30)
        assert [d.reason for d in queue.dead()] == ["hotqueue.TaskRejected: bad input"]

    def test_errors_of_a_task_that_ended_without_a_value_have_one_base(self) -> None:
        assert all(issubclass(e, TaskError) for e in (TaskRevoked, TaskExpired, TaskRejected, UnknownTask))
