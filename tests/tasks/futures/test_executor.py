"""Executor: what programs written for `concurrent.futures` rely on, as they find it documented, over a real worker."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import itertools
import operator
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import hotqueue
from hotqueue import Executor, HotQueue, RemoteError, RemoteTraceback, TaskRevoked
from tests.support.durations import take_time
from tests.support.processes import run_python
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


class Problem(Exception):
    pass


def fail(text: str = "") -> None:
    raise Problem(text)


def wait_for_file(path: str) -> str:
    wait_until(lambda: Path(path).exists())
    return path


# --- submit --------------------------------------------------------------------------------------------------------------


def test_any_call_of_any_callable_is_made_elsewhere(queue: HotQueue) -> None:
    import os

    with Executor(queue) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert executor.submit(pow, 2, 10).result(10) == 1024
        assert executor.submit(int, "ff", base=16).result(10) == 255
        assert executor.submit(lambda n, *, fn: fn + n, 1, fn=2).result(10) == 3  # names that submit has itself
        assert executor.submit("a-b".split, "-").result(10) == ["a", "b"]
        assert executor.submit(os.getpid).result(10) != os.getpid()
    assert hotqueue.Executor is Executor


def test_a_method_that_is_a_task_is_called_on_its_instance(queue: HotQueue) -> None:
    class Basket:
        def __init__(self, size: int) -> None:
            self.size = size

        @queue.task
        def fill(self, *more: int) -> int:
            return self.size + sum(more)

    with Executor(queue) as executor:
        basket = Basket(10)
        assert executor.submit(basket.fill, 1, 2).result(30) == 13
        assert list(executor.map(basket.fill, [1, 2], [3, 4], timeout=30)) == [14, 16]
        assert list(executor.map(basket.fill, range(5), chunksize=2, timeout=30)) == [10, 11, 12, 13, 14]
        assert list(executor.map(basket.fill, timeout=30)) == []
        assert executor.submit(Basket.fill, basket, 3).result(30) == 13


def test_calls_share_nothing_that_travels_with_them(queue: HotQueue) -> None:
    """As between the processes of Python's own executor: calls that are pickled alike have each their own."""
    from collections import Counter
    from functools import partial

    with Executor(queue) as executor:
        counter = Counter[str]()
        counted = [executor.submit(partial(lambda found: (found.append(1), len(found))[1], [])) for _ in range(10)]
        updated = [executor.submit(counter.setdefault, "a", n) for n in range(10)]
        assert [future.result(10) for future in counted] == [1] * 10
        assert [future.result(10) for future in updated] == list(range(10))


def test_a_coroutine_function_is_run_and_not_only_called(queue: HotQueue) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    with Executor(queue) as executor:
        assert executor.submit(double, 21).result(10) == 42


def test_what_a_call_raises_comes_with_where_it_did(queue: HotQueue) -> None:
    with Executor(queue) as executor:
        future = executor.submit(fail, "too bad")
        with pytest.raises(Problem, match="too bad") as caught:
            future.result(10)
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        assert "in fail" in str(caught.value.__cause__)
        assert future.exception() is caught.value
        assert isinstance(executor.submit(sys.exit, 3).exception(10), RemoteError)


def test_what_it_is_given_is_checked(queue: HotQueue) -> None:
    with pytest.raises(TypeError, match=r"Executor\(\) takes a HotQueue, not 'x'"):
        Executor("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"unknown option 'time_limits'.*time_limit"):
        Executor(queue, time_limits=3)
    for name, more in (("bind", "bind=True"), ("ignore_result", "result"), ("max_workers", "hotqueue-worker")):
        with pytest.raises(TypeError, match=f"takes no {name}=.*{more}"):
            Executor(queue, **{name: True})
    with Executor(queue) as executor:
        with pytest.raises(TypeError, match="takes what can be called, not 3"):
            executor.submit(3)  # type: ignore[arg-type]
        with pytest.raises(hotqueue.SerializationError, match="lock"):
            executor.submit(repr, threading.Lock())
        assert executor.submit(abs, -1).result(10) == 1


def test_its_options_hold_for_each_call(queue: HotQueue) -> None:
    with Executor(queue, time_limit=0.3) as executor, pytest.raises(hotqueue.TimeLimitExceeded):
        executor.submit(take_time, 30).result(20)


def test_a_call_that_fails_is_tried_again(queue: HotQueue, tmp_path: Any) -> None:
    log = tmp_path / "tries"

    def third_time() -> int:
        with log.open("a+") as file:
            file.write("x")
        count = len(log.read_text())
        if count < 3:
            raise OSError(count)
        return count

    with Executor(queue, retries=2, retry_backoff=False, default_retry_delay=0) as executor:
        assert executor.submit(third_time).result(20) == 3


def test_a_task_goes_with_its_own_options(queue: HotQueue) -> None:
    @queue.task(priority=9)
    def priority() -> int:
        from hotqueue.tasks import current_task

        assert current_task.request.task.endswith("priority")
        return 9

    with Executor(queue) as executor:
        assert executor.submit(priority).result(10) == 9


def test_a_unique_task_that_is_there_gives_a_future_of_that_one(unserved: HotQueue) -> None:
    @unserved.task(unique="n-{n}", on_conflict="ignore")
    def only(n: int) -> int:
        return n

    executor = Executor(unserved)
    first, second, other = executor.submit(only, 1), executor.submit(only, 1), executor.submit(only, 2)
    assert second.async_result.id == first.async_result.id != other.async_result.id
    assert executor.submit(only, 1).cancel()
    assert unserved.pending() == 2  # whoever was there first waits for it as before
    results = executor.map(only, [1, 2, 2])
    unserved.run_worker(burst=True)
    assert [first.result(10), second.result(10), other.result(10), *results] == [1, 1, 2, 1, 2, 2]
    executor.shutdown()
    with unserved.testing(), Executor(unserved) as executor:
        assert executor.submit(only, 3).result(0) == 3


def test_who_waits_for_anothers_unique_task_is_told_that_it_was_taken_back(unserved: HotQueue) -> None:
    @unserved.task(unique=True, on_conflict="ignore")
    def only() -> None: ...

    executor = Executor(unserved)
    first, second = executor.submit(only), executor.submit(only)
    assert first.cancel()
    assert isinstance(second.exception(10), TaskRevoked)


# --- waiting -------------------------------------------------------------------------------------------------------------


def test_futures_are_waited_for_as_any_others_are(queue: HotQueue, tmp_path: Any) -> None:
    go = tmp_path / "go"
    with Executor(queue) as executor:
        slow, quick = executor.submit(wait_for_file, str(go)), executor.submit(abs, -3)
        done, left = concurrent.futures.wait([slow, quick], 20, concurrent.futures.FIRST_COMPLETED)
        assert (done, left) == ({quick}, {slow})
        with pytest.raises(concurrent.futures.TimeoutError):
            slow.result(0.01)
        failed = executor.submit(fail)
        done, left = concurrent.futures.wait([slow, failed], 20, concurrent.futures.FIRST_EXCEPTION)
        assert (done, left) == ({failed}, {slow})
        wait_until(slow.running)
        assert not quick.running()
        go.touch()
        assert set(concurrent.futures.as_completed([slow, quick, failed], 20)) == {slow, quick, failed}


def test_callbacks_get_the_future_and_may_wait_for_others(queue: HotQueue) -> None:
    with Executor(queue) as executor:
        found: list[Any] = []
        called = threading.Event()
        first = executor.submit(abs, -1)

        def then(future: concurrent.futures.Future[int]) -> None:
            found.append((future, executor.submit(abs, -2).result(10)))
            called.set()

        first.add_done_callback(then)
        assert called.wait(20)
        assert found == [(first, 2)]


def test_however_many_futures_there_are_one_connection_and_few_threads_wait(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()  # its own, for its connections are counted
    with HotQueue("futures", url=server.url) as queue, server.client() as client:
        executor = Executor(queue)
        first = executor.submit(abs, 0)
        threads = set(threading.enumerate())
        futures = [first, *(executor.submit(abs, n) for n in range(300))]
        # this one's, that over which they are sent, that over which their ends come; when it is busy, one to ask anew
        connections = client.client_list()
        assert len(connections) <= 4, [each["cmd"] for each in connections]
        assert "hotqueue-replies" not in {thread.name for thread in set(threading.enumerate()) - threads}
        executor.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)


# --- cancelling ----------------------------------------------------------------------------------------------------------


def test_a_call_that_waits_is_taken_back(unserved: HotQueue) -> None:
    executor = Executor(unserved)
    future = executor.submit(abs, -1)
    seen: list[Any] = []
    future.add_done_callback(seen.append)
    assert not future.running()
    assert future.cancel()
    assert future.cancel()
    assert future.cancelled()
    assert seen == [future]
    assert unserved.pending() == 0
    assert concurrent.futures.wait([future], 5).done == {future}
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(0)
    executor.shutdown()


def test_one_that_runs_or_has_ended_goes_on(queue: HotQueue, tmp_path: Any) -> None:
    go = tmp_path / "go"
    with Executor(queue) as executor:
        future = executor.submit(wait_for_file, str(go))
        wait_until(future.running)
        assert not future.cancel()
        go.touch()
        assert future.result(10) == str(go)
        assert not future.cancel()


def test_a_task_that_others_revoke_says_so(unserved: HotQueue) -> None:
    executor = Executor(unserved)
    future = executor.submit(abs, -1)
    unserved.result(future.async_result.id).revoke()
    with pytest.raises(hotqueue.TaskRevoked):
        future.result(10)
    assert not future.cancelled()


# --- map -----------------------------------------------------------------------------------------------------------------


def test_map_gives_results_in_order_whatever_ends_first(queue: HotQueue) -> None:
    with Executor(queue) as executor:
        assert list(executor.map(pow, range(10), range(10))) == list(map(pow, range(10), range(10)))
        assert list(executor.map(pow, [2, 3], [1, 2, 3], chunksize=2)) == [2, 9]
        assert list(executor.map(abs, [])) == []
        assert list(executor.map(operator.neg, range(25), chunksize=10)) == [-n for n in range(25)]
        assert sum(executor.map(abs, range(2500))) == sum(range(2500))


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_function_that_no_worker_can_import_goes_along(
    queue: HotQueue, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, chunksize: int
) -> None:
    (tmp_path / f"only_here{chunksize}.py").write_text("OFFSET = 100\ndef shift(n):\n    return n + OFFSET\n")
    monkeypatch.syspath_prepend(tmp_path)
    shift = importlib.import_module(f"only_here{chunksize}").shift
    with Executor(queue) as executor:
        assert list(executor.map(shift, range(5), chunksize=chunksize)) == [100, 101, 102, 103, 104]
        assert executor.submit(shift, 5).result(10) == 105


def test_map_sends_at_once_what_is_asked_for_later(queue: HotQueue) -> None:
    with Executor(queue) as executor:
        results = executor.map(abs, range(3))
    assert list(results) == [0, 1, 2]


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_buffer_bounds_what_is_sent_ahead(queue: HotQueue, chunksize: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    with Executor(queue) as executor:
        results = executor.map(abs, items(), buffersize=2, chunksize=chunksize)
        assert len(taken) == 2 * chunksize
        assert next(results) == 0
        assert len(taken) == 3 * chunksize
        assert list(results) == list(range(1, 20))


def test_with_a_buffer_iterables_may_be_without_end_or_empty(queue: HotQueue) -> None:
    """As Python 3.14 has it."""
    with Executor(queue) as executor:
        for size in (1, 2, 4, 8):
            assert list(executor.map(pow, range(4), range(1, 5), buffersize=size)) == [0, 1, 8, 81]
        endless = executor.map(pow, itertools.count(), itertools.repeat(2), buffersize=2)
        assert [next(endless) for _ in range(4)] == [0, 1, 4, 9]
        assert next(executor.map(str, [], buffersize=2), None) is None
        assert next(executor.map(str, buffersize=2), None) is None
        numbers = itertools.count()
        executor.map(str, numbers, buffersize=4)
        assert next(numbers) == 4


def test_what_a_call_of_map_raises_is_raised_in_its_turn_and_the_rest_taken_back(queue: HotQueue, unserved: HotQueue) -> None:
    with Executor(queue) as executor:
        results = executor.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
        assert [next(results), next(results)] == [(0, 1), (0, 1)]
        with pytest.raises(ZeroDivisionError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)
    executor = Executor(unserved)
    with pytest.raises(TimeoutError):
        list(executor.map(abs, range(5), timeout=0.05))
    assert unserved.pending() == 0


def test_map_that_nobody_goes_on_with_takes_the_rest_back(unserved: HotQueue) -> None:
    results = Executor(unserved).map(abs, range(5), timeout=0.01)
    assert unserved.pending() == 5
    with pytest.raises(TimeoutError):
        next(results)
    del results
    assert unserved.pending() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"chunksize": 0}, ValueError, "chunksize.*from 1, not 0"),
        ({"buffersize": 0}, ValueError, "buffersize.*from 1, not 0"),
        ({"buffersize": 1.5}, TypeError, "buffersize.*int or None, not 1.5"),
        ({"timeout": "x"}, TypeError, "timeout"),
    ],
)
def test_arguments_of_map_are_checked_before_anything_is_sent(
    unserved: HotQueue, arguments: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Executor(unserved).map(abs, [1], **arguments)
    assert unserved.pending() == 0


def test_an_item_that_cannot_travel_takes_back_those_before_it(unserved: HotQueue) -> None:
    with pytest.raises(hotqueue.SerializationError):
        Executor(unserved).map(repr, [*range(1500), threading.Lock()])
    assert unserved.pending() == 0


@pytest.mark.parametrize("count", [10, 1500])
def test_what_was_stored_of_more_than_there_is_room_for_is_taken_back(make_queue: Callable[..., HotQueue], count: int) -> None:
    """A queue that waits for room is sent its tasks in parts, some of which are stored when time is up."""
    small = make_queue(max_waiting=count - 4, enqueue_timeout=0.05)
    with Executor(small) as executor, pytest.raises(hotqueue.QueueFull, match="leaves no room"):
        executor.map(abs, range(count))
    assert small.pending() == 0


def test_neither_calls_nor_results_are_kept_longer_than_needed(queue: HotQueue) -> None:
    class Thing:
        def method(self) -> None:
            pass

    thing = Thing()
    gone = threading.Event()
    weakref.finalize(thing, gone.set)
    with Executor(queue) as executor:
        future = executor.submit(thing.method)
        del thing
        future.result(10)
        assert gone.wait(10)
        for result in executor.map(frozenset, [["a"], ["b"], ["c"]]):
            seen = weakref.ref(result)
            del result
            wait_until(lambda seen=seen: seen() is None)  # type: ignore[misc]


# --- the end -------------------------------------------------------------------------------------------------------------


def test_after_shutdown_nothing_is_taken_any_more(queue: HotQueue) -> None:
    executor = Executor(queue)
    future = executor.submit(abs, -1)
    executor.shutdown()
    assert future.done()
    executor.shutdown()
    for ask in (lambda: executor.submit(abs, 1), lambda: executor.map(abs, [1])):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            ask()
    assert "shut down" in repr(executor)


def test_the_end_of_a_with_block_waits_for_all_of_it(queue: HotQueue) -> None:
    with Executor(queue) as executor:
        futures = [executor.submit(take_time, 0.05) for _ in range(10)]
    assert all(future.done() for future in futures)


def test_shutdown_can_cancel_what_has_not_begun(queue: HotQueue, unserved: HotQueue, tmp_path: Any) -> None:
    executor = Executor(unserved)
    futures = [executor.submit(abs, n) for n in range(5)]
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    assert unserved.pending() == 0


def test_thousands_are_cancelled_in_few_trips_and_what_runs_not(start_redis: Callable[..., RedisServer], tmp_path: Any) -> None:
    server = start_redis()  # its own, for what is asked there is counted
    with HotQueue("cancelling", url=server.url) as queue, server.client() as client:
        executor = Executor(queue)
        running = executor.submit(wait_for_file, str(tmp_path / "go"))
        worker = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 1})
        worker.start()
        wait_until(running.running)
        futures = list(executor._send_all(executor._definition(abs, "map()"), iter([(n,) for n in range(2500)])))
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        executor.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 60  # of which most are the worker's
        (tmp_path / "go").touch()
        assert running.result(10) == str(tmp_path / "go")
        worker.join(10)
        assert queue.pending() == 0


def test_in_an_event_loop_thousands_are_cancelled_at_once_and_taken_back_beside_it(unserved: HotQueue) -> None:
    executor = Executor(unserved)
    futures = list(executor._send_all(executor._definition(abs, "map()"), iter([(n,) for n in range(1500)])))

    async def cancel() -> bool:
        executor.shutdown(wait=False, cancel_futures=True)
        return all(future.cancelled() for future in futures)

    assert asyncio.run(cancel())
    wait_until(lambda: unserved.pending() == 0)


@pytest.mark.parametrize("end", ["", "executor.shutdown(wait=False)", "raise SystemExit(0)"])
def test_a_program_ends_though_its_calls_have_not(unserved: HotQueue, store_url: str, end: str) -> None:
    program = f"""
        from hotqueue import Executor, HotQueue
        executor = Executor(HotQueue({unserved.name!r}, url={store_url!r}))
        futures = [executor.submit(abs, n) for n in range(3)]
        results = executor.map(abs, range(3))
        {end}
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert unserved.pending() >= 3


def test_results_that_an_ending_program_does_not_come_to_are_no_trouble(queue: HotQueue, store_url: str) -> None:
    """An error keeps the iterator until Python takes apart what it would be closed with."""
    program = f"""
        from hotqueue import Executor, HotQueue
        results = Executor(HotQueue({queue.name!r}, url={store_url!r})).map(abs, range(3))
        print(next(results))
        raise ValueError("the program's own")
    """
    done = run_python(dedent(program), check=False)
    assert (done.returncode, done.stdout) == (1, "0\n")
    assert "Exception ignored" not in done.stderr
    assert done.stderr.rstrip().endswith("ValueError: the program's own")


# --- asyncio -------------------------------------------------------------------------------------------------------------


def test_an_event_loop_runs_what_blocks_in_it(queue: HotQueue) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Executor(queue) as executor:
            assert await loop.run_in_executor(executor, pow, 2, 5) == 32
            assert await asyncio.wrap_future(executor.submit(abs, -4)) == 4
            with pytest.raises(Problem, match="in a loop"):
                await loop.run_in_executor(executor, fail, "in a loop")

    asyncio.run(main())


def test_what_a_loop_no_longer_waits_for_is_taken_back(unserved: HotQueue) -> None:
    async def main() -> None:
        waiting = asyncio.get_running_loop().run_in_executor(Executor(unserved), abs, -1)
        await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()

    asyncio.run(main())
    wait_until(lambda: unserved.pending() == 0)


def test_inside_of_testing_calls_are_made_at_once(unserved: HotQueue) -> None:
    with unserved.testing(), Executor(unserved) as executor:
        assert executor.submit(abs, -1).result(0) == 1
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        assert isinstance(executor.submit(fail).exception(0), Problem)
