"""How a task ended, on the wire."""

from __future__ import annotations

import pytest

from hotqueue.errors import SerializationError, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.wire.record import Record

KEY = Signer([b"k"])


@pytest.mark.parametrize("state", [State.SUCCESS, State.FAILURE, State.REVOKED])
@pytest.mark.parametrize("signer", [None, KEY])
def test_what_is_encoded_is_decoded(state: State, signer: Signer | None) -> None:
    data = record.encode(state, 3, 1_700_000_000_123, b"payload", "id", signer)
    assert record.decode(data, "id", signer) == Record(state, 3, 1_700_000_000_123, b"payload")


def test_a_great_many_retries_fit() -> None:
    assert record.decode(record.encode(State.FAILURE, 10**6, 1, b"")).retries == 65535


@pytest.mark.parametrize("data", [b"", b"\x01S", b"\x02" + b"S" * 20, b"\x01?" + b"0" * 20])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(SerializationError, match="the result of some-id cannot be read"):
        record.decode(data, "some-id")


def test_a_signed_result_cannot_stand_in_for_another_tasks() -> None:
    data = record.encode(State.SUCCESS, 0, 1, b"x", "id", KEY)
    with pytest.raises(SignatureError):
        record.decode(data, "other-id", KEY)


def test_an_unsigned_or_altered_result_is_refused_where_a_key_is_set() -> None:
    for data in (record.encode(State.SUCCESS, 0, 1, b"x"), record.encode(State.SUCCESS, 0, 1, b"x" * 99)):
        with pytest.raises(SignatureError):
            record.decode(data, "id", KEY)
    altered = bytearray(record.encode(State.SUCCESS, 0, 1, b"x" * 9, "id", KEY))
    altered[14] ^= 1
    with pytest.raises(SignatureError):
        record.decode(bytes(altered), "id", KEY)


@pytest.mark.parametrize("value", [b"x", b"\x80\x05N."])
def test_a_plain_value_is_that_of_an_unsigned_success_alone(value: bytes) -> None:
    plain = record.encode(State.SUCCESS, 3, 1_700_000_000_000, value, "id")
    assert record.plain_values([plain, plain]) == [value, value]
    others = [
        None,
        b"",
        b"\x01S",
        b"E1 2 3",
        record.encode(State.SUCCESS, 0, 1, b"", "id"),
        record.encode(State.FAILURE, 0, 1, value, "id"),
        record.encode(State.REVOKED, 0, 1, value, "id"),
    ]
    assert [record.plain_values([plain, data, plain]) for data in others] == [None] * len(others)
