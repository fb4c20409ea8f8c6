"""One call under its limits → its outcome; and a worker that runs calls so, retries included."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import Reject, Retry, SoftTimeLimitExceeded, TaskError
from hotqueue.tasks import State, current_task
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.execution.clean_context import CleanContext
from hotqueue.tasks.execution.executor import Call, execute, outcome_of
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Ended, Outcome
from hotqueue.tasks.wire import payload
from tests.support.durations import atake_time
from tests.tasks import sample
from tests.tasks.sample import seen
from tests.tasks.test_context import request_of

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def call(function: Any, *args: Any, **options: Any) -> Call:
    return Call("my.task", lambda: (function, args, {}), request_of(), asyncio.iscoroutinefunction(function), **options)


def run(loop: EventLoop, ready: Call) -> Outcome:
    return loop.run(ready, CleanContext().fresh(), ready.soft_time_limit)


def spin() -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pass


# --- outcomes -------------------------------------------------------------------------------------------------------


def test_a_value_is_pickled_unless_nobody_wants_it() -> None:
    assert execute(call(sample.square, 3)) == Outcome(Ended.RETURNED, payload.dumps(9))
    assert execute(call(sample.lock, keeps_result=False)) == Outcome(Ended.RETURNED)


def test_unpickling_is_part_of_the_run() -> None:
    def load() -> Any:
        raise EOFError("bad bytes")

    outcome = execute(Call("my.task", load, request_of()))
    assert (outcome.ended, type(outcome.error)) == (Ended.RAISED, EOFError)


def test_the_request_is_there_while_the_call_runs_and_not_after() -> None:
    assert execute(call(lambda: current_task.request.id)).payload == payload.dumps("id")
    with pytest.raises(RuntimeError):
        current_task.request  # noqa: B018


def test_control_flow_is_told_apart_from_errors() -> None:
    assert execute(call(sample.ignore)) == Outcome(Ended.IGNORED)
    rejected = outcome_of(Reject("why"))
    assert (rejected.ended, str(rejected.error)) == (Ended.REJECTED, "why")
    asked = outcome_of(Retry(countdown=timedelta(seconds=3), exc=OSError("x"), max_retries=7))  # type: ignore[arg-type]
    assert (asked.ended, asked.delay, type(asked.error), asked.max_retries) == (Ended.ASKED_RETRY, 3, OSError, 7)


def test_a_retry_with_an_impossible_time_is_an_error() -> None:
    for retry in (Retry(countdown=-1), Retry(eta=datetime(2030, 1, 1)), Retry(countdown="3")):  # type: ignore[arg-type]  # noqa: DTZ001
        outcome = outcome_of(retry)
        assert (outcome.ended, type(outcome.error)) in ((Ended.RAISED, ValueError), (Ended.RAISED, TypeError))


@pytest.mark.parametrize(
    ("retry", "says"),
    [
        (Retry(max_retries="x"), "retry max_retries= takes a whole number, not 'x'"),  # type: ignore[arg-type]
        (Retry(max_retries=-1), "retry max_retries= takes a whole number of at least 0, not -1"),
        (Retry(exc="boom"), "retry exc= takes an exception that was made, .*, not 'boom'"),  # type: ignore[arg-type]
        (Retry(exc=OSError), "retry exc= takes an exception that was made"),  # type: ignore[arg-type]
        (Retry(countdown=1, eta=datetime.now(UTC)), "both countdown= and eta="),
    ],
)
def test_a_retry_with_wrong_options_is_a_failure_and_never_the_end_of_the_worker(retry: Retry, says: str) -> None:
    outcome = outcome_of(retry)
    assert outcome.ended is Ended.RAISED
    assert re.search(says, str(outcome.error))


def test_a_retry_out_of_an_except_block_is_for_the_error_caught_there() -> None:
    def body() -> None:
        try:
            raise OSError("the cause")
        except OSError:
            raise Retry from None

    assert isinstance(execute(call(body)).error, OSError)


def misfits(outcome: Outcome) -> bool:
    return outcome.ended is Ended.UNLOADABLE and "sent by another version" in str(getattr(outcome.error, "__notes__", ""))


class Recursing(Exception):
    """Wraps something that a failed `__init__` never set."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Silent(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Exits(Exception):
    @property
    def exc(self) -> Any:  # the name that a Retry's error has
        raise SystemExit(3)


class NoTraceback(Exception):
    __traceback__: Any = property(lambda self: 1 / 0)
    __cause__: Any = property(lambda self: 1 / 0)


class NoMembers(ExceptionGroup[OSError]):
    @property
    def exceptions(self) -> Any:
        raise ValueError


class BareRetry(Retry):
    def __init__(self) -> None:
        """Leave out what ours says."""


class BareReject(Reject):
    def __init__(self) -> None:
        """Leave out what ours says."""


HOSTILE: list[Callable[[], BaseException]] = [
    Recursing,
    Silent,
    Exits,
    NoTraceback,
    lambda: NoMembers("g", [OSError()]),
    BareRetry,
    BareReject,
]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_no_exception_ends_the_worker_by_what_its_class_answers(is_async: bool, make_queue: MakeQueue) -> None:
    """Seen: one whose `__getattr__` recursed ended a process with each run, and five others' tasks with it."""
    queue = make_queue()

    def fails(number: int) -> None:
        raise HOSTILE[number]()

    async def fails_later(number: int) -> None:
        raise HOSTILE[number]()

    task: Any = queue.task(retries=1, retry_backoff=0.01, name="fails")(fails_later if is_async else fails)
    results = [task.delay(number) for number in range(len(HOSTILE))]
    assert queue.run_worker(burst=True) == len(HOSTILE)
    found = [result.get(timeout=5, propagate=False) for result in results]
    assert [type(error).__name__ for error in found] == [
        *("Recursing", "RemoteError", "Exits", "RemoteError", "RemoteError", "AttributeError", "AttributeError")
    ]


def test_a_call_that_does_not_fit_the_function_is_not_for_a_retry() -> None:
    def takes_one(n: int) -> int:
        return n + ""  # type: ignore[operator]

    async def takes_none() -> None: ...

    assert misfits(execute(call(takes_one, 1, 2)))
    assert not misfits(execute(call(takes_one, 1)))  # a TypeError of its own
    assert not misfits(execute(call(len, 1)))
    loop = EventLoop()
    assert misfits(run(loop, call(takes_none, 1)))
    loop.stop()


# --- limits and retries in a worker ---------------------------------------------------------------------------------


@only_server
@pytest.mark.parametrize("threads", [1, 2])
def test_a_soft_time_limit_is_raised_inside_the_task_and_arrives_as_itself(make_queue: MakeQueue, threads: int) -> None:
    queue = make_queue()

    @queue.task(soft_time_limit=0.05)
    def cleans_up() -> str:
        try:
            spin()
        except SoftTimeLimitExceeded as error:
            return f"cleaned up after {type(error).__name__}"
        return "never"

    @queue.task(soft_time_limit=0.05)
    async def is_cancelled() -> str:
        try:
            await atake_time(20)
        except asyncio.CancelledError:
            return "cleaned up too"
        return "never"

    sync, coro = queue.task(soft_time_limit=0.05)(spin), queue.task(soft_time_limit=0.05)(atake_time)
    results = [cleans_up.delay() for _ in range(2)] + [sync.delay() for _ in range(2)] + [coro.delay(20)]
    softened = is_cancelled.delay()
    queue.run_worker(burst=True, threads=threads)
    assert [r.get(timeout=30) for r in results[:2]] == ["cleaned up after SoftTimeLimitExceeded"] * 2
    assert softened.get(timeout=30) == "cleaned up too"
    for result in results[2:]:
        with pytest.raises(SoftTimeLimitExceeded, match=r"ran longer than soft_time_limit=0.05 s") as caught:
            result.get(timeout=30)
        assert type(caught.value) is SoftTimeLimitExceeded
    queue.discard_dead(all=True)


def test_an_error_is_retried_with_backoff_until_it_works_or_no_retry_is_left(make_queue: MakeQueue) -> None:
    queue = make_queue()
    flaky = queue.task(retries=2, retry_backoff=0.02)(sample.flaky)
    good, bad = flaky.delay(2), flaky.delay(3)
    queue.run_worker(burst=True)
    assert (good.get(timeout=30), good.retries, good.state) == ("done", 2, State.SUCCESS)
    with pytest.raises(OSError, match="failure 2"):
        bad.get(timeout=30)
    assert (bad.retries, [e["error"] for e in bad.history]) == (2, [f"OSError: failure {n}" for n in range(3)])
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]
    queue.discard_dead(all=True)


@only_server
class TestRetries:
    def test_the_state_is_retry_while_it_waits_and_get_says_so(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(retries=1, retry_backoff=100, retry_jitter=False)(sample.flaky).delay(9)
        queue.run_worker(burst=True)
        assert (result.state, result.retries, result.ready()) == (State.RETRY, 1, False)
        assert [e["error"] for e in result.history] == ["OSError: failure 0"]
        with pytest.raises(TimeoutError, match=r"scheduled for .* after 1 retry"):
            result.get(timeout=0.01)
        assert result.revoke() == "revoked"

    @pytest.mark.parametrize(
        ("options", "runs"),
        [
            ({}, 1),
            ({"max_retries": 5}, 1),
            ({"autoretry_for": OSError, "max_retries": 1}, 2),
            ({"autoretry_for": (ValueError, KeyError)}, 1),
            ({"autoretry_for": Exception, "dont_autoretry_for": OSError}, 1),
            ({"retries": 0}, 1),
        ],
        ids=str,
    )
    def test_which_errors_are_retried_and_how_often(self, make_queue: MakeQueue, options: dict[str, Any], runs: int) -> None:
        queue = make_queue()
        task = queue.task(**options, retry_backoff=False, default_retry_delay=0)(sample.boom)
        task.delay()
        queue.run_worker(burst=True)
        assert seen == ["boom"] * runs
        queue.discard_dead(all=True)

    def test_a_task_group_is_retried_when_all_its_errors_are_such(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        options: dict[str, Any] = {
            "autoretry_for": (OSError,),
            "retry_backoff": False,
            "default_retry_delay": 0,
            "max_retries": 2,
        }

        @queue.task(**options)
        async def several(last: type[Exception]) -> int:
            async def fail(kind: type[Exception]) -> None:
                raise kind

            async with asyncio.TaskGroup() as group:
                if current_task.request.retries < 2:
                    group.create_task(fail(ConnectionError))
                    group.create_task(fail(last))
            return current_task.request.retries

        good, bad = several.delay(TimeoutError), several.delay(ValueError)
        queue.run_worker(burst=True)
        assert good.get(timeout=30) == 2
        with pytest.raises(ExceptionGroup):
            bad.get(timeout=30)
        assert bad.retries == 0
        queue.discard_dead(all=True)

    def test_by_value_too(self, make_queue: MakeQueue) -> None:
        queue = make_queue()

        class Own(Exception):
            pass

        @queue.task(autoretry_for=Own, retry_backoff=0.01)
        def own() -> int:
            if current_task.request.retries < 2:
                raise Own
            return current_task.request.retries

        result = own.delay()
        queue.run_worker(burst=True)
        assert result.get(timeout=30) == 2

    @pytest.mark.parametrize("by_value", [False, True])
    def test_retries_may_be_said_for_one_call(self, make_queue: MakeQueue, by_value: bool) -> None:
        queue = make_queue()
        task = queue.task(retry_backoff=False, default_retry_delay=0)(sample.flaky)
        definition_of(task).by_value = by_value  # then its module's state travels too: what it notes there is not seen here
        result = task.apply_async((2,), retries=2)
        queue.run_worker(burst=True)
        assert (result.get(timeout=30), result.retries) == ("done", 2)

    def test_a_task_asks_for_its_retry(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        soon = datetime.now(UTC) + timedelta(milliseconds=50)
        results = [
            queue.task(name="b", bind=True)(sample.bound_retry).delay(countdown=0),
            queue.task(name="r", retry_backoff=0.01)(sample.ask_again).delay(countdown=0),
            queue.task(name="e")(sample.ask_again).delay(eta=soon),
            queue.task(name="n", retry_backoff=0.01)(sample.ask_again).delay(),
        ]
        queue.run_worker(burst=True)
        assert [r.get(timeout=30) for r in results] == ["done", 1, 1, 1]
        assert seen == [0, 1, 2]

    def test_asking_too_often_fails_with_the_error_given_or_caught(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        task = queue.task(max_retries=2)(sample.retry_for_ever)
        results = [task.delay(), task.delay(exc=KeyError("given")), task.delay(max_retries=4)]
        queue.run_worker(burst=True)
        with pytest.raises(OSError, match="the cause"):
            results[0].get(timeout=30)
        with pytest.raises(KeyError, match="given"):
            results[1].get(timeout=30)
        assert (sorted(seen), results[2].retries) == ([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4], 4)
        queue.discard_dead(all=True)

    def test_asking_without_an_error_says_that_no_retry_is_left(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(max_retries=0)(sample.ask_again).delay(countdown=0)
        queue.run_worker(burst=True)
        with pytest.raises(TaskError, match="asked to be retried after 0 retries"):
            result.get(timeout=30)
        queue.discard_dead(all=True)

    def test_async_tasks_are_retried_too(self, make_queue: MakeQueue) -> None:
        queue = make_queue()

        @queue.task(retries=3, retry_backoff=0.01)
        async def flaky() -> int:
            await asyncio.sleep(0)
            if current_task.request.retries < 2:
                raise OSError
            return current_task.request.retries

        results = [flaky.delay() for _ in range(20)]
        queue.run_worker(burst=True)
        assert [r.get(timeout=30) for r in results] == [2] * 20
