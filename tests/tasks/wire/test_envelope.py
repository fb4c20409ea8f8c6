"""The call on the wire: form, checksum, signature."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from hotqueue import CorruptEnvelope, NewerEnvelope
from hotqueue.errors import SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.envelope import ASYNC, BY_VALUE, SYNC

HEADER = envelope.task_header("shop.tasks.pay", "q", {"time_limit": 5}, "3.11")


def encoded(
    call: bytes = b"4, 'x'",
    flags: int = 0,
    priority: int = 0,
    signer: Signer | None = None,
    kind: int = SYNC,
    payload: bytes = b"\x80abc",
) -> bytes:
    return envelope.Form(HEADER, kind, priority, flags, signer).encode(b"the-id", 1234, call, payload)


def test_what_is_encoded_is_decoded() -> None:
    found = envelope.decode(encoded(flags=BY_VALUE, priority=-7, kind=ASYNC))
    assert (found.id, found.task, found.header["queue"], found.header["options"]) == (
        "the-id",
        "shop.tasks.pay",
        "q",
        {"time_limit": 5},
    )
    assert (found.kind, found.priority, found.created, found.by_value) == (ASYNC, -7, 1234, True)
    assert (found.args_repr, found.payload, found.more, found.headers) == ("4, 'x'", b"\x80abc", {}, {})


def test_more_about_a_call_is_in_its_header() -> None:
    call, flags = envelope.call_header("1", {"headers": {"trace": "é"}, "eta": 5})
    found = envelope.decode(encoded(call, flags))
    assert (found.args_repr, found.headers, found.more["eta"]) == ("1", {"trace": "é"}, 5)


@pytest.mark.parametrize("priority", [-100, -1, 0, 1, 100])
def test_bytes_two_and_three_are_kind_and_priority(priority: int) -> None:
    data = encoded(priority=priority)
    assert (data[0], data[1:2], data[2]) == (envelope.WIRE_VERSION, b"s", 100 + priority)


def test_a_changed_byte_is_noticed_wherever_it_is() -> None:
    data = encoded()
    for n in range(len(data)):
        changed = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
        with pytest.raises(CorruptEnvelope):
            envelope.decode(changed)


@pytest.mark.parametrize("length", [0, 1, 10, 27, 40])
def test_a_piece_of_an_envelope_is_none(length: int) -> None:
    with pytest.raises(CorruptEnvelope, match="not a hotqueue message"):
        envelope.decode(encoded()[:length])


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"{}", b'{"task":5}', b'{"task":"\xff"}', b'{"task":"\\ud800"}'])
def test_a_header_that_says_no_task_is_no_reason_to_die(header: bytes) -> None:
    with pytest.raises(CorruptEnvelope, match="wrong id or header"):
        envelope.decode(envelope.Form(header, SYNC, 0).encode(b"id", 1, b"", b""))
    with pytest.raises(CorruptEnvelope, match="wrong id or header"):
        envelope.decode(envelope.Form(b'{"task":"a"}', SYNC, 0).encode(b"\xff", 1, b"", b""))


def of_version(version: int, data: bytes, signature: bytes = b"") -> bytes:
    body = bytes([version]) + data[1:]
    return body[:4] + zlib.crc32(body[8:], zlib.crc32(body[:4])).to_bytes(4, "big") + body[8:] + signature


def test_a_newer_wire_version_says_so() -> None:
    with pytest.raises(NewerEnvelope, match="wire version 9") as caught:
        envelope.decode(of_version(9, encoded()))
    assert caught.value.version == 9


def test_a_newer_one_that_is_signed_is_no_damage_to_a_worker_without_a_key() -> None:
    with pytest.raises(NewerEnvelope):
        envelope.decode(of_version(9, encoded(flags=envelope.SIGNED), b"x" * envelope.SIGNATURE_BYTES))


def test_an_older_wire_version_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded()
    monkeypatch.setattr(envelope, "WIRE_VERSION", 2)
    assert (data[0], envelope.decode(data).id) == (1, "the-id")
    assert (encoded()[0], envelope.decode(encoded()).id) == (2, "the-id")


def test_one_too_old_to_be_read_waits_for_nobody() -> None:
    with pytest.raises(CorruptEnvelope, match="wire version 0; this hotqueue reads from 1 to"):
        envelope.decode(of_version(0, encoded()))


class TestSigned:
    key = Signer([b"one"])
    both = Signer([b"two", b"one"])

    def test_the_first_key_signs_and_all_verify(self) -> None:
        assert envelope.decode(encoded(signer=self.key), self.both, "q").id == "the-id"
        with pytest.raises(SignatureError, match="fits none of the secret keys"):
            envelope.decode(encoded(signer=self.both), self.key, "q")

    @pytest.mark.parametrize("n", [0, 3, 30, 60, -33, -1])
    def test_an_altered_envelope_is_refused(self, n: int) -> None:
        data = bytearray(encoded(signer=self.key))
        data[n] ^= 8
        with pytest.raises(SignatureError):
            envelope.decode(bytes(data), self.key, "q")

    def test_an_unsigned_envelope_is_refused(self) -> None:
        with pytest.raises(SignatureError, match="unsigned"):
            envelope.decode(encoded(), self.key, "q")

    def test_an_envelope_of_another_queue_is_refused(self) -> None:
        with pytest.raises(SignatureError, match="signed for queue 'q', not 'other'"):
            envelope.decode(encoded(signer=self.key), self.key, "other")

    def test_who_has_no_key_can_still_read_the_header(self) -> None:
        found = envelope.decode(encoded(signer=self.key))
        assert (found.task, found.payload) == ("shop.tasks.pay", b"\x80abc")


def test_decoding_touches_no_payload() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("the payload was unpickled",))

    from hotqueue.tasks.wire import payload

    assert envelope.decode(encoded(payload=payload.dumps(Bomb()))).id == "the-id"
