"""The event loop of a worker process: calls run together, end at their limits, and are given up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from hotqueue.errors import SoftTimeLimitExceeded
from hotqueue.tasks.execution.loop import EventLoop
from hotqueue.tasks.rules.lifecycle import Ended, Outcome
from hotqueue.tasks.wire import payload
from tests.support.durations import atake_time
from tests.support.waiting import allowed
from tests.tasks.execution.test_executor import call, run


class TestEventLoop:
    def test_calls_run_together_each_in_a_context_of_its_own(self) -> None:
        loop = EventLoop()
        outcomes: list[Outcome] = []
        ended = threading.Semaphore(0)

        async def body(n: int) -> int:
            await atake_time(0.01)
            return n

        began = time.monotonic()
        loop.start([(call(body, n), lambda o: (outcomes.append(o), ended.release())) for n in range(200)])  # type: ignore[func-returns-value]
        for _ in range(200):
            assert ended.acquire(timeout=30)
        assert time.monotonic() - began < allowed(2)
        assert sorted(payload.loads(o.payload) for o in outcomes) == list(range(200))
        loop.stop()

    def test_a_soft_limit_cancels_and_is_raised_as_what_it_is(self) -> None:
        loop = EventLoop()
        outcome = run(loop, call(atake_time, 20, soft_time_limit=0.05))
        assert type(outcome.error) is SoftTimeLimitExceeded
        assert "my.task ran longer than soft_time_limit=0.05 s" in str(outcome.error)
        loop.stop()

    def test_a_task_given_up_is_cancelled_with_lease_lost(self) -> None:
        loop = EventLoop()
        box: list[Outcome] = []
        begun, ended = threading.Event(), threading.Event()

        async def body() -> None:
            begun.set()
            await atake_time(20)

        given = call(body)
        loop.start([(given, lambda o: (box.append(o), ended.set()))])  # type: ignore[func-returns-value]
        assert begun.wait(5)
        loop.give_up([given])
        assert ended.wait(5)
        assert (type(box[0].error).__name__, given.request.lost) == ("LeaseLost", True)
        loop.stop()

    def test_what_is_given_up_before_its_first_turn_ends_as_interrupted(self) -> None:
        loop = EventLoop()
        box: list[Outcome] = []
        ended, may_go_on, is_busy = threading.Semaphore(0), threading.Event(), threading.Event()

        async def keep_busy() -> None:
            is_busy.set()
            may_go_on.wait(20)

        keeper = call(keep_busy)
        loop.start([(keeper, lambda _: ended.release())])
        assert is_busy.wait(20)
        ran: list[int] = []
        given = [call(ran.append, n) for n in range(4)]
        loop.start([(each, lambda o: (box.append(o), ended.release())) for each in given])  # type: ignore[func-returns-value]
        loop.give_up(given)  # both wait for the loop now, which sees to them in one turn
        may_go_on.set()
        assert all(ended.acquire(timeout=30) for _ in range(5))
        assert ([each.ended for each in box], ran) == ([Ended.INTERRUPTED] * 4, [])
        assert not loop._running
        loop.stop()

    def test_a_task_that_cancels_all_others_ends_also_those_that_have_not_begun(self) -> None:
        loop = EventLoop()
        box: dict[str, Outcome] = {}
        ended = threading.Semaphore(0)

        def noted(name: str) -> Callable[[Outcome], None]:
            return lambda outcome: (box.update({name: outcome}), ended.release())  # type: ignore[func-returns-value]

        async def cancel_others() -> None:
            for each in asyncio.all_tasks() - {asyncio.current_task()}:
                each.cancel()

        ran: list[int] = []
        loop.start([(call(cancel_others), noted("first")), (call(ran.append, 1), noted("second"))])
        assert all(ended.acquire(timeout=30) for _ in range(2))
        assert (box["first"].ended, box["second"].ended, ran) == (Ended.RETURNED, Ended.INTERRUPTED, [])
        loop.stop()

    def test_a_tasks_own_cancellation_stays_one(self) -> None:
        async def body() -> None:
            raise asyncio.CancelledError

        loop = EventLoop()
        assert isinstance(run(loop, call(body)).error, asyncio.CancelledError)
        loop.stop()
