"""A call as an envelope: what all calls of a task have in common is made once, what one of them says is in that one alone."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire import envelope, payload
from hotqueue.tasks.wire.call import split_by_value
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def test_a_call_by_name_says_what_is_to_be_called_and_with_what(make_queue: MakeQueue) -> None:
    task = definition_of(make_queue().task(priority=7)(sample.square))
    found = envelope.decode(task.encode("id", (4,), {}, task.options, "other"))
    assert (found.id, found.task, found.header["queue"], found.priority) == ("id", task.name, "other", 7)
    assert (found.kind, found.by_value, found.args_repr) == (envelope.SYNC, False, "4")
    assert payload.loads(found.payload) == ((4,), {})
    assert "options" not in found.header  # a worker that imports the task has them


def test_a_call_by_value_brings_its_function_and_its_options(make_queue: MakeQueue) -> None:
    task = definition_of(make_queue().task(time_limit=3)(lambda n: n + 1))
    found = envelope.decode(task.encode("id", (), {"n": 4}, task.options, "q", {"headers": {"a": 1}}))
    function, call = split_by_value(found.payload)
    assert (found.by_value, found.header["python"], found.headers) == (True, payload.PYTHON, {"a": 1})
    assert found.header["options"] == {"time_limit": 3.0}
    assert payload.loads(call) == ((), {"n": 4})
    assert payload.loads(function)[0](4) == 5


def test_envelopes_of_one_task_share_their_header(make_queue: MakeQueue) -> None:
    task = definition_of(make_queue().task(sample.square))
    one, other = (envelope.decode(task.encode(task_id, (4,), {}, task.options, "q")) for task_id in "ab")
    assert one.header is other.header
    signed = make_queue(secret_key="k" * 32)
    data = definition_of(signed.task(sample.square)).encode("id", (4,), {}, task.options, signed.name)
    assert envelope.decode(data, signed._tasks.signer, signed.name, "id").id == "id"


def test_what_a_class_calls_encode_is_its_own(make_queue: MakeQueue) -> None:
    task = definition_of(make_queue().task(str))
    assert envelope.decode(task.encode("id", (b"a",), {}, task.options, "q")).task == "builtins.str"


def test_a_copy_of_a_bound_task_is_what_its_function_gets(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task(bind=True)
    def twice(self: Any, n: int) -> tuple[str, int]:
        return self.name, 2 * n

    copy = pickle.loads(cloudpickle.dumps(twice))
    assert copy(4) == (twice.name, 8)
    with queue.testing():
        assert copy.delay(4).get() == (twice.name, 8)
