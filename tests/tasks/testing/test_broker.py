"""What a program asks of a queue of tasks inside `queue.testing()` is answered as by a store, or refused with the reason."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hotqueue import ResultTimeout, TaskExpired, TaskRevoked
from hotqueue.tasks import State
from tests.tasks import sample
from tests.tasks.sample import seen
from tests.tasks.testing.tasks import flaky, queue, square

pytestmark = pytest.mark.timeout(30)


@pytest.mark.usefixtures("sandbox")
def test_the_same_id_is_the_same_task() -> None:
    first, again = (square.apply_async((n,), task_id="order") for n in (2, 3))
    assert (first == again, again.get(), seen) == (True, 4, [2])


@pytest.mark.usefixtures("sandbox")
def test_the_dead_are_listed_run_again_and_thrown_away() -> None:
    failed, rejected = flaky.delay(9), queue.submit(sample.reject, "why")
    assert (failed.state, failed.failed(), failed.retries) == (State.FAILURE, True, 2)
    with pytest.raises(OSError, match="down"):
        failed.get()
    assert "raise OSError" in (failed.traceback or "")
    assert [e["error"] for e in failed.history] == ["OSError: down"] * 3
    newest, oldest = queue.dead()
    assert (oldest.id, oldest.task, oldest.args, oldest.reason) == (failed.id, flaky.name, "9", "OSError: down")
    assert newest.id == rejected.id
    seen.clear()
    assert queue.retry_dead(failed) == 1
    assert seen == [0, 1, 2]
    assert queue.discard_dead(failed.id) == 1
    assert (queue.retry_dead(failed), queue.discard_dead(all=True), list(queue.dead())) == (0, 1, [])


@pytest.mark.usefixtures("sandbox")
def test_a_paused_queue_keeps_what_it_is_sent_until_it_is_resumed() -> None:
    queue.pause()
    low, high = square.apply_async((1,)), square.apply_async((2,), priority=5)
    later, old = square.apply_async((3,), countdown=60), square.apply_async((4,), expires=0)
    assert (low.state, later.state, old.state) == ("PENDING", "SCHEDULED", "REVOKED")
    assert (queue.pending(), queue.scheduled(), queue.running()) == (3, 1, 0)
    with pytest.raises(ResultTimeout, match=r"no result of task .* is paused, and this is inside queue.testing\(\)"):
        low.get(timeout=0.01)
    with pytest.raises(ResultTimeout, match=r"get\(\) without a timeout would wait for ever"):
        low.get()
    assert (later.revoke(), later.state) == ("revoked", "REVOKED")
    queue.resume()
    assert (low.get(), high.get(), seen, queue.pending()) == (1, 4, [2, 1], 0)
    for ended, error in ((old, TaskExpired), (later, TaskRevoked)):
        with pytest.raises(error):
            ended.get()


@pytest.mark.usefixtures("sandbox")
def test_many_threads_that_resume_a_queue_run_each_task_once() -> None:
    queue.pause()
    results = square.map(range(200))
    with pytest.raises(ResultTimeout, match="would wait for ever"):
        results.get()
    threads = [threading.Thread(target=queue.resume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (sorted(seen), len(results.get(timeout=30))) == (list(range(200)), 200)


@pytest.mark.usefixtures("sandbox")
def test_what_makes_no_sense_here_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"run_worker\(\) would wait for ever inside queue.testing\(\)"):
        queue.run_worker()
    with pytest.raises(RuntimeError, match=r"reap needs a store, and this is inside queue.testing\(\)"):
        queue._tasks.broker.reap("worker")
    inside: list[Any] = []

    @queue.task(bind=True)
    def revokes_itself(self: Any) -> None:
        result = queue.result(self.request.id)
        inside.extend([result.state, result.revoke(), queue.running()])
        result.revoke(terminate=True)

    with pytest.raises(RuntimeError, match="ends the process that runs the task: this one"):
        revokes_itself.delay().get()
    assert inside == ["STARTED", "running, not stopped", 1]
