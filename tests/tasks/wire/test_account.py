"""Accounts: what is told of a batch is what is read of it; what is of nobody of ours tells nothing."""

from __future__ import annotations

import struct

import pytest

from hotqueue.tasks.rules.history import History, error_line
from hotqueue.tasks.wire import account, envelope
from hotqueue.tasks.wire.settlement import Delivery, Settlement, put_back


def delivery(task_id: str, name: str = "shop.a", history: bytes = b"", began: float = 10.0, took: float = 0.5) -> Delivery:
    header = envelope.task_header(name, "q", {})
    data = envelope.Form(header, envelope.SYNC, 0).encode(task_id.encode(), 1_000_000, b"4, x=1", b"secret payload")
    found = Delivery(task_id, 1, "s", history, data)
    found.head_bytes, found.began, found.took = envelope.decode(data).head_bytes, began, took
    return found


def settled(task_id: str, code: str = "X") -> Settlement:
    return Settlement(task_id, 1, code, b"", 0, "")


def told(deliveries: list[Delivery], codes: str) -> bytes:
    settlements = [settled(each.id, code) for each, code in zip(deliveries, codes, strict=True)]
    return account.of_batch(settlements, {each.id: each for each in deliveries}, 1000.0, 12.0, b"host-1")


def test_what_is_told_is_read() -> None:
    first, second = delivery("a"), delivery("b", "shop.b", b"2 0 - - -\n" + b'{"at":1,"error":"E","kind":"error","due":1005000}')
    second.error = "ValueError: no"
    data = told([first, second], "SD")
    assert b"secret" not in data
    one, two = account.read(data)
    assert (one.what, one.began, one.took, one.at, one.worker, one.tries) == ("succeeded", 1010.0, 0.5, 1010.5, "host-1", 0)
    assert account.id_of(one.head) == b"a"
    assert (two.what, two.tries, two.due, two.error) == ("failed", 2, 1005.0, "ValueError: no")


def test_what_went_wrong_before_is_told_of_those_that_have_ended() -> None:
    errors = [error_line("error", "E: no", 1000), error_line("lost", "E: no", 2000), error_line("error", "F" * 500, 3000)]
    history = History(3, errors=errors).encode().encode()
    one, two, three = account.read(told([delivery("a", history=history), delivery("b", history=history), delivery("c")], "XRX"))
    assert one.past == (*errors[:2], {"at": 3000, "kind": "error", "error": "F" * account.PAST_CHARS})
    assert (two.what, two.past, three.past) == ("retried", (), ())
    for junk in (b'{"past":{"0":[1]}}', b'{"past":{"0":"x"}}', b'{"past":[]}', b'{"past":{"0":[[1]]}}'):
        data = told([delivery("a", history=history)], "X")
        assert all(not each.past for each in account.read(data[: data.index(b'{"tries"')] + junk))


def test_what_came_to_no_end_is_not_told() -> None:
    one = delivery("a")
    assert told([one], "L") == account.of_batch([put_back(one)], {"a": one}, 0.0, 0.0, b"") == b""
    assert [each.what for each in account.read(told([one, delivery("b")], "LX"))] == ["succeeded"]
    assert account.of_batch([settled("gone")], {}, 0.0, 0.0, b"") == b""


def test_a_task_that_was_not_started_ended_when_it_was_told() -> None:
    one, two = account.read(told([delivery("a", began=0.0, took=0.0), delivery("b")], "KX"))
    assert (one.what, one.began, one.at) == ("parked", 0.0, 1012.0)
    assert two.what == "succeeded"


def test_those_that_were_gone_do_not_count() -> None:
    data = told([delivery("a"), delivery("b")], "XX")
    gone = bytes([account.WITHOUT]) + struct.pack(">I", 1) + b"a" + data
    assert [account.id_of(each.head) for each in account.read(gone)] == [b"b"]
    assert account.plain(gone) is None


def test_what_cannot_be_read_as_an_envelope_has_its_id() -> None:
    broken = Delivery("x", 1, "s", b"", b"junk")
    (one,) = account.read(told([broken], "D"))
    assert (account.id_of(one.head), one.what) == (b"x", "failed")


def test_expired_is_no_revoked() -> None:
    one = delivery("a")
    one.error = "hotqueue.TaskExpired: still waiting"
    assert next(account.read(told([one], "E"))).what == "expired"
    assert next(account.read(told([delivery("a")], "E"))).what == "revoked"


def test_a_script_tells_of_each() -> None:
    head = delivery("a").data
    line = struct.pack(">BQBI", account.LINE, 1_010_000, 4, len(head)) + b"lost" + head
    found = list(account.read(line + line))
    assert [(each.what, each.at, account.id_of(each.head)) for each in found] == [("lost", 1010.0, b"a")] * 2


def test_nothing_is_read_of_what_is_none() -> None:
    data = told([delivery("a"), delivery("b")], "XX")
    for junk in (b"", b"\x09junk", b"\x02", b"\x03\x00", data[:20], data[:-5], b"\x01" + b"\xff" * 40):
        list(account.read(junk))
        assert account.plain(junk) is None
    found = account.plain(data)
    assert found is not None
    assert (found.began, len(found.created)) == ([1010.0, 1010.0], 2)


@pytest.mark.parametrize(
    ("began", "tries", "error", "attempts"),
    [
        (1010.0, 0, "", 1),
        (1010.0, 2, "ValueError: no", 3),
        (0.0, 5, "hotqueue.WorkerLost: killed its worker process 5 times", 5),  # told by whoever found the last process ended
        (0.0, 1, "hotqueue.TimeLimitExceeded: 3 s", 2),
    ],
)
def test_how_often_it_was_started(began: float, tries: int, error: str, attempts: int) -> None:
    assert account.Told("failed", b"", began, 0.5, 1010.5, "host-1", tries, error=error).attempts == attempts
