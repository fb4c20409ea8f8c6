"""A decided action → what step.lua carries out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hotqueue.errors import TaskExpired
from hotqueue.signing import Signer
from hotqueue.tasks.rules.history import History, decode
from hotqueue.tasks.rules.lifecycle import Action, Do, State
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import payload, record, settlement
from hotqueue.tasks.wire.settlement import Delivery

DELIVERY = Delivery("id", 7, "s", b"", b"")
NOW = 1_700_000_000_000


def settled(action: Action, history: History | None = None, signer: Signer | None = None, **options: Any) -> Any:
    return settlement.of(action, DELIVERY, history or History(), TaskOptions(**options), NOW, signer)


def test_a_success_brings_its_record_and_how_long_it_lasts() -> None:
    task_id, number, code, blob, ms, extra = settled(Action(Do.SUCCEED, State.SUCCESS, b"value"), History(2), result_expires=1.5)
    assert (task_id, number, code, ms, extra) == ("id", 7, "S", 1500, "")
    assert record.decode(blob) == record.Record(State.SUCCESS, 2, NOW, b"value")


@pytest.mark.parametrize("options", [{"ignore_result": True}, {"result_expires": 0}])
def test_a_success_whose_result_nobody_wants_brings_none(options: dict[str, Any]) -> None:
    assert settled(Action(Do.SUCCEED, State.SUCCESS, b""), **options) == ("id", 7, "X", b"", 0, "")


@pytest.mark.parametrize("options", [{"ignore_result": True}, {"result_expires": 0}])
def test_one_that_is_owned_brings_its_record_to_stay_no_longer_than_that(options: dict[str, Any]) -> None:
    """The value is there though none was to be kept: a fetch said that the result is owned."""
    _, _, code, blob, ms, _ = settled(Action(Do.SUCCEED, State.SUCCESS, b"value"), **options)
    assert (code, ms, record.decode(blob).payload) == ("S", 0, b"value")


def test_a_retry_brings_the_history_with_its_error() -> None:
    _, _, code, blob, ms, extra = settled(Action(Do.RETRY, error=OSError("no"), delay=2.5), History(1, 2, "-", 99, "T"))
    assert (code, blob, ms) == ("R", b"", 2500)
    line = {"at": NOW, "kind": "error", "error": "OSError: no", "due": NOW + 2500}
    assert decode(extra.encode()) == History(2, 2, "-", 99, "-", [line])


def test_a_retry_without_an_error_adds_none() -> None:
    assert decode(settled(Action(Do.RETRY))[5].encode()) == History(1)


def test_a_burial_brings_record_and_entry_even_of_an_ignored_result() -> None:
    error = OSError("no")
    action = Action(Do.BURY, State.FAILURE, error=error, error_payload=payload.dumps_error(error))
    _, _, code, blob, ms, extra = settled(action, History(3, 1, errors=[{"at": 1}]), ignore_result=True)
    assert (code, ms, record.decode(blob).state) == ("D", 3_600_000, State.FAILURE)
    told = json.loads(extra)
    assert "\n" not in extra
    assert (told["error"], told["message"], told["retries"], told["deliveries"]) == ("OSError", "no", 3, 1)
    assert told["errors"] == [{"at": 1}, {"at": NOW, "kind": "error", "error": "OSError: no"}]


def test_an_end_without_a_run_brings_its_record_and_no_entry() -> None:
    _, _, code, blob, _, extra = settled(Action(Do.END, State.REVOKED, error=TaskExpired("late")))
    assert (code, extra, record.decode(blob).state) == ("E", "", State.REVOKED)
    assert isinstance(payload.loads_error(record.decode(blob).payload), TaskExpired)


def test_parking_putting_back_and_ignoring_bring_nothing_else() -> None:
    assert settled(Action(Do.PARK, need="task:x")) == ("id", 7, "K", b"", 0, "task:x")
    assert settled(Action(Do.FORGET)) == ("id", 7, "X", b"", 0, "")
    assert settled(Action(Do.PUT_BACK)) == settlement.put_back(DELIVERY) == ("id", 7, "P", b"", 0, "")


def test_records_are_signed_for_their_task() -> None:
    key = Signer([b"k"])
    blob = settled(Action(Do.SUCCEED, State.SUCCESS, b"value"), signer=key)[3]
    assert record.decode(blob, "id", key).payload == b"value"
