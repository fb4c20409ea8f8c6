"""A queue's tasks by name, its dead, its key; what HotQueue's task methods call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hotqueue import ConfigError, HotQueue, SignatureError, TaskNameWarning, TaskNotRegistered
from hotqueue.tasks import State
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def work(queue: HotQueue) -> int:
    return queue.run_worker(burst=True)


# --- the contract, on every kind of store ---------------------------------------------------------------------------


def test_a_dead_task_is_kept_with_all_that_is_known_until_it_is_retried(make_queue: MakeQueue) -> None:
    queue = make_queue()
    flaky = queue.task(autoretry_for=OSError, max_retries=1, retry_backoff=False, default_retry_delay=0)(sample.flaky)
    result = flaky.delay(3)
    work(queue)
    (dead,) = queue.dead()
    assert (dead.id, dead.task, dead.args) == (result.id, "tests.tasks.sample.flaky", "3")
    assert (dead.error, dead.message, dead.retries, dead.deliveries) == ("OSError", "failure 1", 1, 0)
    assert dead.reason == "OSError: failure 1"
    assert [e["error"] for e in dead.errors] == ["OSError: failure 0", "OSError: failure 1"]
    assert "in flaky" in dead.traceback
    assert abs(dead.died - datetime.now(UTC)) < timedelta(minutes=1)
    assert [e["error"] for e in result.history] == ["OSError: failure 0", "OSError: failure 1"]
    with pytest.raises(OSError, match="failure 1"):
        result.get(timeout=30)

    assert queue.retry_dead(result.id) == 1
    assert (result.state, list(queue.dead()), queue.pending()) == (State.PENDING, [], 1)
    work(queue)
    assert seen == [0, 1, 0, 1]
    assert [d.id for d in queue.dead()] == [result.id]
    assert queue.discard_dead(result) == 1
    assert (list(queue.dead()), queue.retry_dead(result.id), queue.discard_dead(all=True)) == ([], 0, 0)


def test_all_the_dead_are_retried_or_discarded_at_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.task(ignore_result=True)(sample.boom).map(range(150))
    work(queue)
    assert len({d.id for d in queue.dead()}) == 150
    assert (queue.retry_dead(all=True), queue.pending()) == (150, 150)
    work(queue)
    assert len(seen) == 300
    assert (queue.discard_dead(all=True), list(queue.dead())) == (150, [])


# --- one kind is enough ---------------------------------------------------------------------------------------------


@only_server
class TestTasks:
    def test_tasks_are_known_by_name_and_a_later_one_takes_an_earlier_ones_place(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        queue.task(name="a")(sample.square)
        with pytest.warns(TaskNameWarning):
            again = queue.task(name="a")(sample.note)
        assert queue.tasks == {"a": again}
        assert queue._tasks.find("a") is again
        with pytest.raises(TaskNotRegistered, match=r"no task 'b' on queue .*; known are: a"):
            queue._tasks.find("b")

    def test_a_task_can_be_submitted(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.submit(queue.task(sample.square), 3)
        work(queue)
        assert result.get(timeout=30) == 9

    def test_counts(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        square = queue.task(sample.square)
        queue.put("raw", "raw")
        square.map(range(3))
        later = square.apply_async((1,), countdown=60)
        assert (len(queue), queue.pending(), queue.scheduled(), queue.running()) == (2, 4, 1, 0)
        later.revoke()
        work(queue)
        assert (len(queue), queue.pending(), queue.scheduled(), queue.running(), queue.workers()) == (2, 0, 0, 0, [])

    def test_a_paused_queue_is_not_fetched_from(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        result = queue.task(sample.note).delay(1)
        queue.pause()
        assert (work(queue), seen, result.state) == (0, [], State.PENDING)
        queue.resume()
        assert (work(queue), seen) == (1, [1])

    def test_workers_say_what_they_are(self, make_queue: MakeQueue) -> None:
        queue = make_queue()
        task = queue.task(sample.note)
        thread = threading.Thread(target=queue.run_worker, kwargs={"max_tasks": 1})
        thread.start()
        (told,) = wait_until(queue.workers)
        assert {"worker", "host", "pid", "python", "kind", "folder"} <= set(told)
        task.delay(1).get(timeout=30)  # which ends it
        thread.join()
        assert queue.workers() == []


@only_server
class TestSigned:
    def test_signed_calls_and_results_are_understood_by_who_has_the_key(self, make_queue: MakeQueue) -> None:
        sender, worker = make_queue(secret_key="new,old"), make_queue(secret_key="new")
        worker.task(sample.square)
        results = [sender.task(sample.square).delay(3), sender.submit(lambda: 4)]
        work(worker)
        assert [r.get(timeout=30) for r in results] == [9, 4]

    @pytest.mark.parametrize("key", [None, "another"])
    def test_what_is_unsigned_or_signed_by_others_is_never_unpickled(self, make_queue: MakeQueue, key: str | None) -> None:
        sender, worker = make_queue(secret_key=key), make_queue(secret_key="the key")

        class Bomb:
            def __reduce__(self) -> object:
                return (seen.append, ("unpickled",))

        result = sender.task(sample.note).delay(Bomb())
        worker.task(sample.note)
        seen.clear()
        work(worker)
        assert seen == []
        assert [d.error for d in worker.dead()] == ["hotqueue.SignatureError"]
        with pytest.raises(SignatureError):
            worker.result(result.id).get(timeout=30)
        worker.discard_dead(all=True)

    def test_an_unsigned_result_is_not_believed(self, make_queue: MakeQueue) -> None:
        signed, unsigned = make_queue(secret_key="k"), make_queue()
        result = unsigned.task(sample.square).delay(2)
        work(unsigned)
        with pytest.raises(SignatureError, match=r"not signed|fits none"):
            signed.result(result.id).get(timeout=30)

    def test_the_key_may_come_from_the_environment_and_must_not_be_empty(
        self, make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOTQUEUE_SECRET_KEY", "k1, k2")
        queue = make_queue()
        assert queue._tasks.signer is not None
        with pytest.raises(ConfigError, match="secret_key is empty"):
            make_queue(secret_key=" , ").task(sample.square)
