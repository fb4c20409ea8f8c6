"""Waiting ends when what is waited for comes, and says what did not come; what must not happen is noticed when it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.support.waiting import allowed, await_until, holds_for, wait_until, within


def at_call(number: int) -> Callable[[], str]:
    """Return a condition that comes true at that call."""
    calls = iter(range(1, 10**6))
    return lambda: "came" if next(calls) >= number else ""


def test_a_wait_returns_what_the_condition_returned() -> None:
    assert wait_until(at_call(3)) == "came"
    assert asyncio.run(await_until(at_call(3))) == "came"


def test_others_of_the_loop_run_meanwhile() -> None:
    async def main() -> bool:
        asyncio.get_running_loop().call_later(0.01, done.append, 1)
        return bool(await await_until(lambda: done))

    done: list[int] = []
    assert asyncio.run(main())


def test_what_does_not_come_is_named() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0.01 s: the moon \(last: 0\)"):
        wait_until(lambda: 0, 0.01, "the moon")
    with pytest.raises(AssertionError, match=r"not true within 0.01 s: .*lambda: 0, 0.01\)"):
        asyncio.run(await_until(lambda: 0, 0.01))


def test_what_need_not_come_is_waited_for_no_longer_than_that() -> None:
    assert within(at_call(3), 60) == "came"
    assert within(lambda: 0, 0.02) == 0


def test_what_must_not_happen_is_noticed_at_once_or_at_the_end() -> None:
    began = time.monotonic()
    holds_for(lambda: True, 0.05, every=10)
    assert time.monotonic() - began >= 0.05
    with pytest.raises(AssertionError, match=r"not true any more after 0\.\d\d s: it is quiet \(last: False\)"):
        holds_for(at_call_false(3), 60, "it is quiet")
    assert time.monotonic() - began < allowed(10)
    looks = iter([True, False])
    with pytest.raises(AssertionError, match="not true any more"):
        holds_for(lambda: next(looks), 0.02, every=10)  # the look at the end


def at_call_false(number: int) -> Callable[[], bool]:
    """Return a condition that holds until that call."""
    comes = at_call(number)
    return lambda: not comes()
