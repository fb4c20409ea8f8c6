"""Errors that hang together: causes, contexts and members, in circles, and very many of them."""

from __future__ import annotations

from typing import Any

from hotqueue import RemoteError
from hotqueue.tasks.wire import chain, exceptions, payload


def test_a_chain_may_go_round_in_a_circle() -> None:
    one, two = ValueError(1), KeyError(2)
    one.__context__, two.__context__ = two, one
    found = payload.loads_error(payload.dumps_error(one))
    assert found.__context__ is not None
    assert found.__context__.__context__ is found


def test_a_chain_may_be_long_and_its_end_is_in_the_traceback() -> None:
    error: BaseException = ValueError("first")
    for n in range(1500):
        outer = ValueError(n, "x" * 100)
        outer.__context__ = error
        error = outer
    data = payload.dumps_error(error)
    assert len(data) < 2 * chain.SIZE_MAX
    found: Any = payload.loads_error(data)
    assert found.args[0] == 1499
    assert str(found) in str(found.__cause__)
    assert len(str(found.__cause__)) <= exceptions.TRACEBACK_MAX + 10
    length = 0
    while found is not None:
        found, length = found.__context__, length + 1
    assert 500 < length <= chain.CHAIN_MAX


def test_a_group_may_have_very_many_members() -> None:
    found = payload.loads_error(payload.dumps_error(ExceptionGroup("g", [ValueError("x" * 2000) for _ in range(1500)])))
    assert isinstance(found, ExceptionGroup)
    assert isinstance(found, RemoteError)
    assert found.message == "g (1500 sub-exceptions)"
    assert 500 < len(found.exceptions) < 1500


def test_a_command_in_a_chain_is_a_stand_in() -> None:
    error = ValueError("x")
    error.__cause__ = SystemExit(1)
    found = payload.loads_error(payload.dumps_error(error))
    assert found.__cause__ is not None
    assert str(found.__cause__.__cause__) == "SystemExit: 1"
