"""The context that tasks begin in: each in a copy of it, of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context, copy_context


class CleanContext:
    """What every task begins with: a copy of the context in which this was made, so that none sees what another set there.

    decimal keeps an object there that is changed in place; each copy gets its own. Another object that is changed in place
    is shared, as everywhere in Python.

    Attributes:
        fresh: returns a copy for one task.
    """

    def __init__(self) -> None:
        self._context = copy_context()
        decimal = sys.modules.get("decimal")
        kind = () if decimal is None else decimal.Context
        self._changeable = [(name, value) for name, value in self._context.items() if isinstance(value, kind)]
        self.fresh: Callable[[], Context] = self._renewed if self._changeable else self._context.copy

    def _renewed(self) -> Context:
        made = self._context.copy()
        made.run(self._renew)
        return made

    def _renew(self) -> None:
        for name, value in self._changeable:
            name.set(value.copy())
