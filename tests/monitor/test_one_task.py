"""One task is shown with all that is known of it, wherever it is; nothing of it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import one_task
from hotqueue.monitor.one_task import OneTask
from hotqueue.tasks import chain
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


def double(n: int) -> int:
    if n < 0:
        raise ValueError(f"negative: {n}")
    return 2 * n


def third_time_lucky(path: str) -> str:
    with open(path, "a+") as runs:
        runs.write("|")
        if runs.tell() < 3:
            raise OSError(f"run {runs.tell()}")
    return "done"


class Bomb:
    """What must not be loaded by whoever looks."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise AssertionError('it was loaded')",)


def look(queue: HotQueue, task_id: str) -> OneTask:
    found = one_task.look(queue._store, queue.name, task_id)
    assert found is not None
    return found


def test_one_that_waits_and_one_that_is_scheduled(make_queue: MakeQueue) -> None:
    queue = make_queue()
    sent = task_by_name(queue, "shop.price").apply_async((4, Bomb()), {"x": 1}, headers={"tenant": 7}, expires=900)
    found = look(queue, sent.id)
    assert (found.task, found.queue, found.state, found.reason) == ("shop.price", queue.name, "waiting", "no_worker")
    assert found.args.startswith("4, ")
    assert found.args.endswith("x=1")
    assert found.headers == {"tenant": 7}
    assert found.expires is not None
    assert [event.what for event in found.timeline] == ["sent"]
    later = look(queue, task_by_name(queue, "shop.price").apply_async((4,), countdown=900).id)
    assert (later.state, [event.what for event in later.timeline]) == ("scheduled", ["sent", "due"])
    assert later.as_json()["due"] == later.due.isoformat(timespec="milliseconds")  # type: ignore[union-attr]
    assert one_task.look(queue._store, queue.name, "nobody") is None
    queue.purge()


def test_one_that_has_ended_well_and_one_that_is_dead(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="double")(double)
    fine, bad = task.delay(4), task.delay(-4)
    queue.run_worker(burst=True)
    found = look(queue, fine.id)
    assert (found.state, found.outcome, found.result_bytes > 0, found.error) == ("ended", "SUCCESS", True, "")
    assert found.timeline[-1].what == "success"
    found = look(queue, bad.id)
    assert (found.state, found.outcome, found.task, found.args) == ("dead", "FAILURE", "double", "-4")
    assert (found.error, found.message) == ("ValueError", "negative: -4")
    assert "Traceback" in found.traceback
    assert [event.what for event in found.timeline] == ["sent", "started", "error", "failure"]
    queue.discard_dead(all=True)
    found = look(queue, bad.id)  # its result is there still
    assert (found.state, found.outcome, found.error, found.message) == ("ended", "FAILURE", "ValueError", "negative: -4")
    fine.forget()
    bad.forget()


@pytest.mark.servers("embedded", "server")
def test_one_that_went_well_at_last_says_what_went_wrong_before(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue()
    task = queue.task(name="flaky", retries=2, retry_backoff=False, default_retry_delay=0)(third_time_lucky)
    kept, forgotten = task.delay(str(tmp_path / "kept")), task.apply_async((str(tmp_path / "forgotten"),), ignore_result=True)
    queue.run_worker(burst=True)
    for result in (kept, forgotten):
        found = look(queue, result.id)
        assert (found.state, found.outcome, found.attempts) == ("ended", "SUCCESS", 3)
        assert [event.what for event in found.timeline] == ["sent", "error", "error", "started", "success"]
        assert [event.text for event in found.timeline[1:3]] == ["OSError: run 1", "OSError: run 2"]
        moments = [event.at for event in found.timeline]
        assert None not in moments[1:3]
    kept.forget()


@pytest.mark.servers("server")
def test_a_step_says_where_in_its_workflow_it_is(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = task_by_name(queue, "double")
    last = chain(task.s(1), task.s(), task.s()).delay()
    workflow = last.id.rpartition("-")[0]
    found = look(queue, f"{workflow}-1")
    assert found.workflow == {
        "id": workflow,
        "steps": 3,
        "parents": [{"id": f"{workflow}-0", "task": "double"}],
        "children": [{"id": f"{workflow}-2", "task": "double"}],
    }
    assert found.reason == "waits_for_steps"
    last.revoke()
    queue.purge()
