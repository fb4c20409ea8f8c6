"""The context that tasks begin in: none sees what another has set, in it or in an object of it that is changed in place."""

from __future__ import annotations

import decimal
from contextvars import ContextVar

from hotqueue.tasks.execution.clean_context import CleanContext

colour: ContextVar[str] = ContextVar("colour")


def test_none_sees_what_another_has_set() -> None:
    decimal.getcontext()
    clean = CleanContext()

    def work() -> tuple[str, int]:
        found = colour.get("none"), decimal.getcontext().prec
        colour.set("red")
        decimal.getcontext().prec = 3
        return found

    prec = decimal.getcontext().prec
    assert [clean.fresh().run(work) for _ in range(2)] == [("none", prec)] * 2
    assert decimal.getcontext().prec == prec
