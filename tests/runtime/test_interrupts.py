"""What is raised inside a task from outside, such as its soft time limit, is caught by nothing of ours on its way to the task.

Each handler in the package that would catch it, because it catches every exception or every HotQueueError, has to raise it on, or
be in code that no task runs through: AROUND_TASKS and ALLOWED say which.
"""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path

import pytest

import hotqueue
from hotqueue import HotQueue, SerializationError, SoftTimeLimitExceeded
from hotqueue.errors import STORE_ERRORS, Interruption, LeaseLost
from hotqueue.runtime.interrupts import A_WHILE, expected, within
from hotqueue.tasks.execution import soft_limit as limits
from hotqueue.tasks.execution.soft_limit import soft_limit
from tests.support.durations import take_time
from tests.support.waiting import holds_for

PACKAGE = Path(hotqueue.__file__).parent
BROAD = {"HotQueueError", "Exception", "BaseException", "FAULTS", "SoftTimeLimitExceeded", "Interruption"}

# What supervisors and workers do around tasks, in threads where no task runs or between tasks.
AROUND_TASKS = (
    *("tasks/supervisor/", "tasks/worker/", "tasks/execution/forks.py", "tasks/execution/repairs.py"),
    *("tasks/broker/many_queues.py", "tasks/broker/relay.py", "runtime/background.py"),
)
INSIDE_TASKS = ("tasks/worker/async_worker.py", "tasks/worker/sync_worker.py", "tasks/worker/subscription.py")

ALLOWED = {
    "cli": "commands run no tasks",
    "web": "pages run no tasks",
    "watch": "nor does the monitor",
    "monitor/bulk.py": "nor do bulk actions, which have a thread of their own",
    "monitor/history.py:_read": "of a thread of its own",
    "monitor/snapshot.py:_list_aside": "the same",
    "store/pipeline.py": "of workers and supervisors, for many queues at once",
    "messages/asyncio.py": "tasks of an event loop are cancelled: nothing is raised in its thread",
    "tasks/execution/loop.py": "the same",
    "tasks/client/callbacks.py": "of threads of their own",
    "tasks/wire/exceptions.py": "of an error that has left its task; and of one that comes from a result, where it guards us",
    "tasks/worker/sync_worker.py:settle_behind": "of a thread of its own",
    "tasks/execution/executor.py:execute": "where a task ends",
    "tasks/execution/executor.py:outcome_of": "where a task ends",
    "tasks/wire/payload.py:dumps_error": "of an error that has left its task",
    "tasks/client/delivering.py:_dispatch": "of callbacks, which return at once",
    "tasks/client/replies.py:_read_for_callbacks": "of a thread of its own",
    "tasks/client/value.py:_complete": "it is the future's owner's",
    "tasks/futures/future.py:_complete": "the same",
    "tasks/client/stream.py:__del__": "of an iterator that nobody has any more",
    "tasks/execution/streaming.py:_driven": "thrown into the generator, which raises it on",
    "tasks/execution/streaming.py:_adriven": "the same",
    "messages/local.py:_run": "of a thread of its own",
    "messages/consume.py:loop": "thrown into the generator, which raises it on",
}


def names_in(node: ast.expr | None) -> set[str]:
    return {"BaseException"} if node is None else {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def raises_on(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(part, ast.Raise) for part in ast.walk(handler))


def catching(tree: ast.AST, path: str) -> list[str]:
    """Return the handlers in a module that keep what was meant for a task, as ``file:function``."""
    found: list[str] = []

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                caught = names_in(handler.type)
                if caught & BROAD and raises_on(handler):
                    break  # what comes later gets no such error
                if caught & BROAD:
                    found.append(f"{path}:{function}")
        if isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and "suppress" in ast.unparse(call.func) and names_in(call) & BROAD:
                    found.append(f"{path}:{function}")
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(tree, "")
    return found


def test_nothing_of_ours_catches_what_is_raised_inside_a_task() -> None:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).as_posix()
        if not path.startswith(AROUND_TASKS) or path in INSIDE_TASKS:
            found += catching(ast.parse(file.read_text()), path)
    used = {name for name in ALLOWED if any(each == name or each.startswith((f"{name}:", f"{name}/")) for each in found)}
    kept = [each for each in found if not any(each == name or each.startswith((f"{name}:", f"{name}/")) for name in used)]
    assert kept == [], "it would keep a task's time limit from the task: catch errors by name, or say why not, above"
    assert used == ALLOWED.keys()


def test_what_is_raised_inside_a_task_is_a_branch_of_its_own() -> None:
    assert issubclass(SoftTimeLimitExceeded, Interruption)
    assert issubclass(LeaseLost, Interruption)
    assert not any(issubclass(Interruption, each) or issubclass(each, Interruption) for each in STORE_ERRORS)


class Slow:
    """Takes its time to be pickled, or to be printed."""

    def __reduce__(self) -> str:
        take_time(20)
        return "x"

    def __repr__(self) -> str:
        take_time(20)
        return "x"


@pytest.mark.servers("embedded")
@pytest.mark.parametrize("way", ["delay", "put", "text"])
def test_a_limit_that_passes_while_we_pickle_is_no_fault_of_the_value(make_queue: object, way: str) -> None:
    queue: HotQueue = make_queue()  # type: ignore[operator]
    began = time.monotonic()
    with pytest.raises(SoftTimeLimitExceeded), soft_limit(0.1, "x"):  # noqa: PT012
        if way == "delay":
            queue.submit(len, Slow())
        elif way == "put":
            queue.put(Slow())
        else:
            queue.submit(print, lambda: Slow(), sep=Slow())
    assert time.monotonic() - began < 10


def test_a_value_that_cannot_be_pickled_is_still_one(make_queue: object) -> None:
    queue: HotQueue = make_queue()  # type: ignore[operator]
    with soft_limit(60, "x"), pytest.raises(SerializationError):
        queue.submit(len, threading.Lock())


@pytest.mark.servers("embedded")
def test_a_limit_that_comes_late_in_another_thread_still_ends_its_wait(
    make_queue: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine where the thread that watches the clock has to wait for a processor."""
    queue: HotQueue = make_queue()  # type: ignore[operator]
    results = queue.task(abs).map([1, 2])
    is_due, may_tell, raised = threading.Event(), threading.Event(), threading.Event()
    tell = limits._Clock._tell

    def tell_late(clock: limits._Clock, limit: limits._Limit) -> None:
        is_due.set()
        may_tell.wait(60)
        tell(clock, limit)

    def run() -> None:
        with pytest.raises(SoftTimeLimitExceeded), soft_limit(0.1, "x"):
            list(results.as_completed())
        raised.set()

    monkeypatch.setattr(limits._Clock, "_tell", tell_late)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_due.wait(30)
    holds_for(lambda: not raised.is_set(), 0.5)
    may_tell.set()
    assert raised.wait(30)  # a wait in one go takes a minute
    thread.join()
    queue.purge()


@pytest.mark.servers("embedded")
@pytest.mark.parametrize("in_main_thread", [True, False])
def test_inside_testing_a_limit_ends_its_own_task_and_not_the_one_that_it_waits_for(
    make_queue: object, in_main_thread: bool
) -> None:
    queue: HotQueue = make_queue()  # type: ignore[operator]
    waited: list[object] = []

    def sleeps() -> None:
        for _ in range(400):
            take_time(0.05)

    inner = queue.task(sleeps)

    def waits() -> None:
        waited.append(inner.apply_async(task_id="inner"))

    outer = queue.task(soft_time_limit=0.2)(waits)

    def run() -> None:
        with pytest.raises(SoftTimeLimitExceeded, match="waits ran longer"):
            outer.delay().get(timeout=30)
        waited.append(queue.result("inner").state)

    with queue.testing():
        began = time.monotonic()
        if in_main_thread:
            run()
        else:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        assert time.monotonic() - began < 10
    assert waited == ["REVOKED"]


def not_yet() -> bool:
    return False


class TestWithin:
    """For how long a thread may block in one go."""

    def test_as_long_as_it_wants_where_nothing_is_to_come(self) -> None:
        assert within(5) == 5
        assert within(None) == A_WHILE

    def test_until_what_is_to_be_raised(self) -> None:
        with expected(time.monotonic() + 40, not_yet):
            assert within(0.1) == 0.1
            assert 5 < within(60) < 40.1
            with expected(time.monotonic() + 50, not_yet):
                assert within(60) < 40.1
            with expected(time.monotonic(), not_yet):
                assert within(60) < 0.1
            assert 5 < within(None) < 40.1

    def test_for_a_moment_while_it_is_late(self) -> None:
        with expected(time.monotonic() - 1, not_yet):
            assert within(60) < 0.1
            with expected(time.monotonic() + 30, not_yet):
                assert within(60) < 0.1

    def test_as_long_as_it_wants_once_it_came(self) -> None:
        with expected(time.monotonic() - 1, lambda: True):
            assert within(60) == 60
            with expected(time.monotonic() + 30, not_yet):
                assert 1 < within(60) < 30.1
        assert within(60) == 60

    def test_in_this_thread_alone(self) -> None:
        found: list[float] = []
        with expected(time.monotonic(), not_yet):
            thread = threading.Thread(target=lambda: found.append(within(60)))
            thread.start()
            thread.join()
        assert found == [60]
