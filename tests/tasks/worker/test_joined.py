"""How a step ends that had to leave its unique key to another: of what is known of that one, and nothing is unpickled to look."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hotqueue.errors import DuplicateTask, EarlierStepFailed, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.rules.history import DUPLICATE, JOINED, History, error_line
from hotqueue.tasks.rules.lifecycle import Ended, State
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker import joined
from hotqueue.tasks.worker.inputs import ENDED_WITHOUT, joined_of, takes_of_others
from tests.tasks.broker.test_unique import only

SIGNER = Signer([b"k"], b"result")


def history(verdict: str) -> History:
    kind = "joined" if verdict == JOINED else "duplicate"
    return History(verdict=verdict, errors=[error_line(kind, "task a has the unique key", 1, task="a")])


def delivery(verdict: str = JOINED, record: bytes | None = None) -> Delivery:
    made = Delivery("step", 1, "s", history(verdict).encode().encode(), only("k"))
    made.inputs = {"a": record}
    return made


def ended(state: State, value: bytes, signer: Signer | None = None) -> bytes:
    return record.encode(state, 0, 1, value, "a", signer)


def test_who_has_the_key_stands_with_it() -> None:
    assert (joined_of(delivery()), joined_of(delivery(DUPLICATE)), joined_of(Delivery("b", 1, "s", b"", only("k")))) == (
        "a",
        "",
        "",
    )
    assert (takes_of_others(delivery()), takes_of_others(delivery(DUPLICATE))) == (True, False)
    assert (History().holder, history(DUPLICATE).holder) == ("", "a")


def test_one_too_many_is_an_error_that_names_the_other() -> None:
    found = joined.outcome(delivery(DUPLICATE), "t", history(DUPLICATE), None)
    assert found is not None
    assert found.ended is Ended.DUPLICATE
    assert isinstance(found.error, DuplicateTask)
    assert found.error.task_id == "a"
    assert str(found.error).startswith("task t with the unique key")


@pytest.mark.parametrize(
    ("data", "signer", "kind"),
    [
        (None, None, EarlierStepFailed),
        (ended(State.SUCCESS, b"x"), SIGNER, SignatureError),
        (ended(State.REVOKED, b"x"), None, None),
    ],
)
def test_without_a_value_it_does_not_run(data: bytes | None, signer: Signer | None, kind: type[Exception] | None) -> None:
    found = joined.outcome(delivery(JOINED, data), "t", history(JOINED), signer)
    assert found is not None
    assert found.ended is (Ended.REVOKED if kind is None else Ended.UNLOADABLE)
    assert kind is None or isinstance(found.error, kind)


@pytest.mark.parametrize("is_async", [False, True])
def test_what_the_other_did_is_done_in_its_place(is_async: bool) -> None:
    def run(data: bytes, signer: Signer | None = None) -> Any:
        step = delivery(JOINED, data)
        assert joined.outcome(step, "t", history(JOINED), signer) is None
        function, args, kwargs = joined.load(step, "a", signer, is_async)()
        made = function(*args, **kwargs)
        return asyncio.run(made) if is_async else made

    assert run(ended(State.SUCCESS, payload.dumps(7), SIGNER), SIGNER) == 7
    assert run(ENDED_WITHOUT) is None
    with pytest.raises(ValueError, match="no"):
        run(ended(State.FAILURE, payload.dumps_error(ValueError("no"))))
