"""Which keys a test may leave in a store: every other key has a TTL, or the test fails (design.md §3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Keys that live as long as their queue; what is in them is bounded or has an owner.
LASTING = re.compile(
    r"tasks|attempts|seq|ready(:.*)?|parked:.*|needs|scheduled|expiring|workers|consumers|bell(:.*)?|dead(:tasks|:bytes|:steps)?|stats|enqueued|accounts|paused"
    r"|came-back|dead-messages|suspects|locks|lanes?(:.*)?|slots:.*|turns:.*|timers|paused:keys|gated|blocked|outbox|periodic"
    r"|control|revoked|large|waiters|owned(:over)?|posted:.*|receipts|received:.*|schema:\d+|schedules(:.*)?|steps(:.*)?"
)
# Keys of one process; they may stay only as long as the sorted set names that process.
OWNED = {"held": "workers", "worker": "workers", "consuming": "consumers", "consumer": "consumers"}


def keys_of(client: Any, queue_name: str) -> set[str]:
    """Return every key in the store of `client` that has `queue_name` in it."""
    return {k.decode(errors="replace") for k in client.scan_iter(match=f"*{queue_name}*", count=1000)}


def leaked(client: Any, keys: Iterable[str]) -> list[str]:
    """Return the keys that have neither a TTL nor a right to last."""
    return sorted(key for key in keys if not _may_last(client, key) and client.ttl(key) == -1)


def _may_last(client: Any, key: str) -> bool:
    if not key.startswith("{hotqueue:"):
        return key.startswith("hotqueue:")
    queue, _, thing = key.partition("}:")
    kind, _, owner = thing.partition(":")
    if kind in OWNED:
        return client.zscore(f"{queue}}}:{OWNED[kind]}", owner) is not None
    return LASTING.fullmatch(thing) is not None
