"""What a bulk action tells of itself in the store: how far it is, for every dashboard, also when who did it is gone.

It stands under a key of the first of its queues, which has a TTL: it is told of while it goes on, and for some minutes after.
"""

from __future__ import annotations

import json
import time
from typing import Any

from hotqueue import keys
from hotqueue.store.store import Store

KEPT_MS = 15 * 60_000  # since it was told last
SILENT = 60.0  # seconds after which whoever does it may have ended


def tell(store: Store, queue: str, action_id: str, said: dict[str, Any]) -> None:
    """Have everybody know how far an action is."""
    key = keys.bulk(queue, action_id)
    data = json.dumps({**said, "told": time.time()})
    store.repeat(lambda: store.command(key, "SET", key, data, "PX", KEPT_MS, doing="telling how far an action is"))


def told(store: Store, queue: str, action_id: str) -> tuple[dict[str, Any] | None, float]:
    """Return what an action said last, None where nothing is known of it; and how many seconds ago.

    By the server's clock, which says when what was told goes: the clocks of dashboards differ.
    """
    key, doing = keys.bulk(queue, action_id), "looking how far an action is"
    data = store.repeat(lambda: store.command(key, "GET", key, doing=doing))
    left = int(store.repeat(lambda: store.command(key, "PTTL", key, doing=doing))) if data else 0
    try:
        found = json.loads(data or b"null")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else None, max(0.0, (KEPT_MS - left) / 1000)


def cancel(store: Store, queue: str, action_id: str) -> None:
    """Have whoever does it stop."""
    key = keys.bulk(queue, f"{action_id}:cancel")
    store.repeat(lambda: store.command(key, "SET", key, "1", "PX", KEPT_MS, doing="cancelling an action"))


def is_to_stop(store: Store, queue: str, action_id: str) -> bool:
    """Tell whether somebody wants it to stop."""
    key = keys.bulk(queue, f"{action_id}:cancel")
    return bool(store.repeat(lambda: store.command(key, "EXISTS", key, doing="looking whether an action is to stop")))
