"""How many trips to a server something takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.store import pipeline
from hotqueue.store.exchange import Exchange


def counted_trips(patched: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets a word for each trip that this process makes from now on, until the patch is undone."""
    trips: list[str] = []

    def counting(what: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **options: Any) -> Any:
            trips.append(what)
            return ask(*args, **options)

        return asked

    patched.setattr(Exchange, "ask", counting("ask", Exchange.ask))
    patched.setattr(pipeline, "_exchange", counting("pipeline", pipeline._exchange))
    return trips
