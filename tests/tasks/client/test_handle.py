"""What a handle makes of an answer, and of what is known of a task."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import RemoteError, UnknownTask
from hotqueue.tasks import State
from hotqueue.tasks.broker.broker import Looked
from hotqueue.tasks.client.answers import Answer
from hotqueue.tasks.client.handle import answer_in, check_id, handle_of, parsed_dead
from hotqueue.tasks.rules.history import History
from hotqueue.tasks.wire import payload, record
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server")


def looked(where: str) -> Looked:
    return Looked(where, b"record", History(), 0.0, b"", None)


@pytest.mark.parametrize(
    ("where", "status"), [("result", "R"), ("done", "D"), ("dead", "U"), ("unknown", "U"), ("held", ""), ("ready", "")]
)
def test_what_is_known_of_a_task_is_an_answer_once_it_has_ended(where: str, status: str) -> None:
    answer = answer_in(looked(where))
    assert (answer.status if answer else "", answer.record if answer else b"") == (status, b"record" if status == "R" else b"")


def test_a_success_is_the_last_word_and_a_failure_is_not(room: Room) -> None:
    handle = handle_of(room.queue.result("t"))
    handle.keep(Answer("R", record.encode(State.FAILURE, 1, 5, payload.dumps_error(OSError("no")))))
    assert (handle.has_outcome(), handle.known_record(None).retries) == (False, 1)
    assert repr(handle.outcome(None, propagate=False)) == "OSError('no')"
    handle.keep(Answer("R", record.encode(State.SUCCESS, 2, 5, payload.dumps({"a": 1}))))
    assert (handle.has_outcome(), handle.outcome(None, propagate=True)) == (True, {"a": 1})


def test_a_task_without_a_record_is_dead_or_unknown(room: Room) -> None:
    handle = handle_of(room.queue.result("t"))
    with pytest.raises(UnknownTask, match=f"task t is unknown on queue '{room.queue.name}'"):
        handle.outcome(Answer("U"), propagate=True)
    room.fill({"dead:tasks": {"t": '{"error":"shop.Refused","message":"no"}\nenvelope'}, "dead": {"t": 1}})
    with pytest.raises(RemoteError, match="no") as caught:
        handle.outcome(Answer("U"), propagate=True)
    assert caught.value.class_path == "shop.Refused"


@pytest.mark.parametrize("junk", [None, b"", b"nonsense\nbody", b"[1]\nbody"])
def test_nonsense_in_the_dead_list_says_nothing(junk: bytes | None) -> None:
    assert parsed_dead(junk) == {}


@pytest.mark.parametrize("wrong", ["", None, 5, b"id"])
def test_an_id_is_a_text(wrong: Any) -> None:
    assert check_id("t", "here") == "t"
    with pytest.raises(TypeError, match="here takes the id of a task, a non-empty str"):
        check_id(wrong, "here")
