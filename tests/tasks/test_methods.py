"""The methods for tasks are whole without those for messages; they are read, called and refused as they are written down."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.methods import TaskMethods
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


class TasksOnly(TaskMethods):
    """A queue that has no methods for messages."""

    def __init__(self, queue: HotQueue) -> None:
        self.name, self._store, self._secret_key = queue.name, queue._store, None


@pytest.mark.servers("server")
def test_tasks_need_no_methods_for_messages(make_queue: MakeQueue) -> None:
    queue = TasksOnly(make_queue())
    square = queue.task(sample.square)
    with queue.batch():
        result, later = square.delay(3), square.apply_async((4,), countdown=60)
    assert (queue.pending(), queue.scheduled(), queue.running(), list(queue.tasks)) == (2, 1, 0, [square.name])
    assert queue.run_worker(burst=True) == 1
    assert (result.get(timeout=30), queue.result(later.id).revoke(), list(queue.dead())) == (9, "revoked", [])
    queue.pause()
    waiting = queue.submit(sample.square, 2)
    assert (queue.run_worker(burst=True), queue.pending()) == (0, 1)
    queue.resume()
    assert (queue.run_worker(burst=True), waiting.get(timeout=30)) == (1, 4)


def test_every_method_says_what_it_does() -> None:
    methods = {name: value for name, value in vars(TaskMethods).items() if not name.startswith("_")}
    assert methods.keys() >= {"task", "submit", "batch", "result", "pending", "dead", "workers", "run_worker", "testing"}
    assert [name for name, value in methods.items() if not inspect.getdoc(value)] == []


def test_wrong_calls_are_refused_before_anything_is_sent() -> None:
    queue = TasksOnly(HotQueue("q", url="redis://127.0.0.1:1", patience=0.1))
    with pytest.raises(TypeError, match=r"takes the id of a dead task, or all=True"):
        queue.retry_dead()
    with pytest.raises(TypeError, match="did you mean 'burst'"):
        queue.run_worker(brust=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'retries'"):
        queue.task(retrys=3)
    with pytest.raises(TypeError, match="takes a callable and its arguments"):
        queue.submit(5)  # type: ignore[arg-type]
