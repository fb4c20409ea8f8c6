"""Words: parts of the sentences that say why a task waits. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hotqueue.plurals import plural
from hotqueue.tasks.broker.gates import AtGate
from hotqueue.tasks.rules import gates
from hotqueue.tasks.rules.options import datetime_of


def time_text(ms: float) -> str:
    """Return an instant (ms since the epoch) as people read it."""
    found: datetime = datetime_of(ms)
    return f"{found:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Return a duration as people read it."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def of_gate(gate: AtGate, queue: str) -> tuple[str, str, dict[str, Any]]:
    """Return what keeps a gate shut: the reason, the sentence and the facts of a Why."""
    shown = gates.shown(gate.key)
    if gate.what == "c":
        some = gate.holders[:3]
        by = f", by {', '.join(some)}{' and others' * (gate.used > len(some))}" if some else ""  # none: they have just ended
        text = f"max_concurrency={gate.limit} of {shown} is used up{by}"
        return "concurrency", text, {"limit": gate.limit, "used": gate.used, "held_by": gate.holders}
    if gate.what == "r":
        seconds = gate.opens_in / 1000 if gate.opens_in >= 0 else None
        opens = "those that may start are not fetched yet" if seconds is None else f"opens in {span(seconds)}"
        text = f"rate_limit= of {shown}, {gate.limit} in {gate.period / 1000:g} s, is used up: {opens}"
        return "rate_limit", text, {"limit": gate.limit, "used": gate.used, "period": gate.period / 1000, "seconds": seconds}
    if gate.what == "f":
        others = plural(gate.lanes_ahead, "other key")
        return "fair_turn", f"{shown} waits for its turn, behind {others}", {"turns": gate.lanes_ahead}
    return "paused", f"{shown} is paused at queue {queue!r}", {"what": "key", "name": gate.key[2:]}
