"""What a queue keeps under its keys: of which Redis type each is, and which of them it has one of. Pure."""

from __future__ import annotations

from hotqueue import keys

_TYPES = {
    **dict.fromkeys(["tasks", "attempts", "held", "worker", "dead:tasks", "discarded:tasks", "stats", "control"], "hash"),
    **dict.fromkeys(["enqueued", "statistics"], "hash"),
    **dict.fromkeys(
        ["owned", "steps", "dead:steps", "checkpoints", "gated", "paused:keys", "unique", "outbox", "receipts", "waiters"], "hash"
    ),
    **dict.fromkeys(["schedules", "schedules:states"], "hash"),
    "streamed": "hash",
    "stream": "stream",
    **dict.fromkeys(["ready", "ready:async", "suspects", "claims", "parked", "lane", "scheduled", "expiring"], "zset"),
    **dict.fromkeys(
        [
            "workers",
            "dead",
            "discarded",
            "posted",
            "received",
            "shares",
            "turns",
            "timers",
            "steps:open",
            "schedules:next",
            "schedules:declarers",
        ],
        "zset",
    ),
    **dict.fromkeys(["bell", "bell:async", "reply", "owned:over", "steps:todo", "accounts", "ended", "deploys"], "list"),
    **dict.fromkeys(["needs", "done", "revoked", "large", "blocked", "lanes", "slots", "steps:reported"], "set"),
    **dict.fromkeys(["seq", "result", "paused", "progress", "log", "bulk", "dead:bytes", "schema", "starts"], "string"),
}

# What a queue has one key of, whatever it holds: what no key says the name of.
SINGLE = tuple(
    b"tasks attempts seq ready ready:async suspects needs scheduled expiring large gated blocked lanes dead dead:tasks "
    b"unique parked:unique dead:bytes stats paused control revoked bell bell:async workers consumers came-back dead-messages "
    b"steps steps:todo steps:open steps:reported dead:steps done:0 done:1 done:2 owned owned:over outbox receipts "
    b"schedules schedules:states schedules:next schedules:declarers timers paused:keys checkpoints "
    b"discarded discarded:tasks enqueued accounts ended statistics deploys".split()
)


def type_of(key: str) -> str | None:
    """Return the Redis type of what a queue keeps under `key`; None for a key that is not known here."""
    if key.startswith(keys.PREFIX):
        return "list"
    thing = key.partition("}:")[2]
    return _TYPES.get(thing) or _TYPES.get(thing.partition(":")[0])
