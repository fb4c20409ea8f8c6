"""Names of tasks in envelopes: one for all where they are alike, a line each where they are not."""

from __future__ import annotations

from hotqueue.tasks.wire import envelope, task_names


def made(name: str, task_id: str = "t") -> bytes:
    header = envelope.task_header(name, "q", {"retries": 3})
    return envelope.Form(header, envelope.SYNC, 0).encode(task_id.encode(), 5, b"1", b"payload")


def test_one_name_is_said_once() -> None:
    assert task_names.lines_of([made("shop.a"), made("shop.a", "another")]) == b":shop.a\n"
    assert task_names.lines_of([made("shop.a"), made("shop.ab"), made("x\ny")]) == b":shop.a\n:shop.ab\n:x y\n"
    assert task_names.lines_of([made("märz")]) == b":" + "märz".encode() + b"\n"
    assert task_names.lines_of([]) == b""


def test_what_is_none_has_no_name() -> None:
    assert task_names.lines_of([b"", b"\x01s\x64\x00"]) == b":?\n:?\n"
    assert task_names.name_in(b'{"task": 5}') == task_names.name_in(b"{") == task_names.UNKNOWN
