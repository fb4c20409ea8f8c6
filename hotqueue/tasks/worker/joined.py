"""Joined: a step of a workflow that ends as another task did, which had its unique key: what runs in its place. Unpickles late.

See docs/decisions/0074.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hotqueue.errors import EarlierStepFailed, HotQueueError
from hotqueue.signing import Signer
from hotqueue.tasks.broker import duplicates
from hotqueue.tasks.rules import lifecycle, unique
from hotqueue.tasks.rules.history import DUPLICATE, History
from hotqueue.tasks.rules.lifecycle import Outcome, State
from hotqueue.tasks.wire import payload, record
from hotqueue.tasks.wire.settlement import Delivery
from hotqueue.tasks.worker.inputs import ENDED_WITHOUT

Load = Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]]


def outcome(delivery: Delivery, name: str, history: History, signer: Signer | None) -> Outcome | None:
    """Return how a step ends without a run, as another had its unique key; None: its place is taken by what `load` returns."""
    if history.verdict == DUPLICATE:
        key = duplicates.key_of(delivery.data) or ""
        return lifecycle.duplicate(f"task {name} with {unique.shown(name, key)}", history.holder)
    data = (delivery.inputs or {}).get(history.holder)
    if data == ENDED_WITHOUT:
        return None
    if data is None:
        text = f"how task {history.holder} ended, which had the same unique key, is not known any more"
        return lifecycle.unloadable(EarlierStepFailed(text, history.holder))
    try:
        found = record.decode(data, history.holder, signer)
    except HotQueueError as error:
        return lifecycle.unloadable(error)
    return lifecycle.joined_revoked(delivery.id, history.holder) if found.state is State.REVOKED else None


def load(delivery: Delivery, holder: str, signer: Signer | None, is_async: bool) -> Load:
    """Return what loads a call that returns, or raises, what another task did."""

    def ended() -> Any:
        data = (delivery.inputs or {}).get(holder)
        if not data:
            return None
        found = record.decode(data, holder, signer)
        if found.state is State.SUCCESS:
            return payload.loads(found.payload)
        raise payload.loads_error(found.payload)

    async def aended() -> Any:
        return ended()

    return lambda: (aended if is_async else ended, (), {})
