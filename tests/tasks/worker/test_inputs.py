"""What a step of a workflow takes of the tasks before it: read for several steps in one trip, and made into its arguments."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.errors import EarlierStepFailed, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.envelope import SYNC, Form, call_header, task_header
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker.inputs import ENDED_WITHOUT, arguments, read_inputs
from tests.tasks.contents import Room


def delivery(room: Room, name: str, *needs: str) -> Delivery:
    call, flags = call_header("", {"flow": {"needs": needs, "takes": "*"}})
    data = Form(task_header("t", room.queue.name, {}), SYNC, 0, flags).encode(name.encode(), 0, call, b"")
    return Delivery(name, 1, "s", b"", data)


def success(value: Any, task_id: str = "", signer: Signer | None = None) -> bytes:
    return record.encode(State.SUCCESS, 0, 0, payload.dumps(value), task_id, signer)


@pytest.mark.servers("server")
def test_all_that_stand_in_line_are_read_in_one_trip(room: Room) -> None:
    room.fill({"result:a": "1", "result:b": "2", "owned": {"c": "1 x\nsd"}})
    line = [delivery(room, "1", "a", "b"), delivery(room, "2", "b"), delivery(room, "3"), delivery(room, "4", "c", "d")]
    room.client.config_resetstat()
    read_inputs(room.broker, line)
    assert [each.inputs for each in line] == [{"a": b"1", "b": b"2"}, {"b": b"2"}, {}, {"c": ENDED_WITHOUT, "d": None}]
    assert room.client.info("commandstats")["cmdstat_mget"]["calls"] == 1


def test_values_come_in_front_of_the_arguments_and_those_that_failed_are_left_out() -> None:
    inputs = {"a": success(1), "b": record.encode(State.FAILURE, 0, 0, b""), "c": ENDED_WITHOUT}
    assert arguments({"needs": ["a", "b", "c"], "takes": "*"}, inputs, None, (9,)) == ([1, None], 9)
    assert arguments({"needs": ["a"], "takes": 0}, {"a": success(1)}, None, (9,)) == (1, 9)
    assert arguments({}, {}, None, (9,)) == (9,)


def test_what_is_gone_or_not_signed_is_said() -> None:
    said = {"needs": ["a"], "takes": 0}
    with pytest.raises(EarlierStepFailed, match="what task a returned is not there any more"):
        arguments(said, {"a": None}, None, ())
    signer = Signer([b"k"], b"result")
    assert arguments(said, {"a": success(1, "a", signer)}, signer, ()) == (1,)
    with pytest.raises(SignatureError):
        arguments(said, {"a": success(1, "b", signer)}, signer, ())


def test_an_errback_is_told_of_the_first_that_failed_itself() -> None:
    inputs = {
        "a": success(1),
        "b": b"CF1 c",
        "c": record.encode(State.FAILURE, 0, 0, payload.dumps_error(ValueError("no"))),
        "d": None,
    }
    request, error, trace = arguments({"needs": list(inputs), "of": {"c": "shop.price"}}, inputs, None, ())
    assert (request.id, request.task, str(error), type(error), trace) == ("c", "shop.price", "no", ValueError, "ValueError: no\n")
    with pytest.raises(EarlierStepFailed, match="the error of the task that failed is not there any more"):
        arguments({"needs": ["d"], "of": {}}, inputs, None, ())
