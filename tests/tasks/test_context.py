"""What a running task can know of its run; the rest is seen in test_task.py, by tasks that run."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from hotqueue.errors import Retry
from hotqueue.tasks.context import Request, current_request, current_task, request_var
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import envelope


class Told:
    """A channel that keeps what it is told."""

    def __init__(self, reports: list[object]) -> None:
        self._reports = reports

    def report(self, queue: str, task_id: str, progress: dict[str, Any]) -> None:
        self._reports.append((queue, task_id, progress))

    def log(self, request: Request, line: str) -> None:
        self._reports.append((request.id, line))

    def outlet(self, request: Request, options: TaskOptions) -> Any:
        raise AssertionError("no task streams here")


def request_of(more: dict[str, object] | None = None, reports: list[object] | None = None) -> Request:
    call, flags = envelope.call_header("", more)
    data = envelope.Form(envelope.task_header("a.b", "q", {}), envelope.SYNC, 0, flags).encode(b"id", 1, call, b"")
    channel = None if reports is None else Told(reports)
    return Request(envelope.decode(data), History(2, 1), "q", "host-1-ab", channel)


def test_outside_a_task_there_is_no_request() -> None:
    assert current_request() is None
    with pytest.raises(RuntimeError, match="no task is running here"):
        current_task.request  # noqa: B018
    with pytest.raises(RuntimeError):
        current_task.retry()


def test_a_request_says_what_run_this_is() -> None:
    request = request_of({"eta": 1_893_456_000_000, "headers": {"a": 1}})
    assert (request.id, request.task, request.queue, request.worker) == ("id", "a.b", "q", "host-1-ab")
    assert (request.retries, request.deliveries, request.lost) == (2, 2, False)
    assert (request.headers, request.eta) == ({"a": 1}, datetime(2030, 1, 1, tzinfo=UTC))
    assert (request_of().eta, request_of().headers) == (None, {})


def test_current_task_speaks_of_the_request_of_this_context() -> None:
    reports: list[object] = []
    token = request_var.set(request_of(reports=reports))
    try:
        assert (current_task.name, current_task.lost) == ("a.b", False)
        current_task.update_progress(1, 2, "half")
        with pytest.raises(Retry) as caught:
            current_task.retry(countdown=3, max_retries=9)
    finally:
        request_var.reset(token)
    assert reports == [("q", "id", {"done": 1, "total": 2, "message": "half"})]
    assert (caught.value.countdown, caught.value.max_retries) == (3, 9)


def test_a_line_is_a_text_and_not_too_long() -> None:
    told: list[object] = []
    token = request_var.set(request_of(reports=told))
    current_task.log("half")
    current_task.log("x" * 5000)
    with pytest.raises(TypeError, match=r"log\(\) takes a str, not 5"):
        current_task.log(5)  # type: ignore[arg-type]
    request_var.reset(token)
    assert told == [("id", "half"), ("id", "x" * 2000 + "…")]
    with pytest.raises(RuntimeError, match="no task is running here"):
        current_task.log("half")


def test_progress_is_numbers_and_a_text() -> None:
    reports: list[object] = []
    request = request_of(reports=reports)
    request._update_progress(Fraction(1, 2), True, "")
    assert reports == [("q", "id", {"done": 0.5, "total": 1, "message": ""})]
    for wrong, name in [((object(), 1, ""), "done"), ((1, "2", ""), "total"), ((1, None, 3), "message")]:
        with pytest.raises(TypeError, match=rf"update_progress\({name}=\) takes a"):
            request._update_progress(*wrong)  # type: ignore[arg-type]
    assert len(reports) == 1
