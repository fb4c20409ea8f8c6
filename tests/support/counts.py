"""How often a queue has counted something: in the minutes of its scripts; and what was enqueued, folded in or not yet."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hotqueue import keys
from hotqueue.tasks.rules.tally import decode, span_of

DAYS_OF_ALL = b"\x02\x00\x00"  # what the fields of rows begin with that count all tasks of a day


def counts(redis: Any, name: str) -> Counter[str]:
    """Return what was counted, by what it is."""
    found: Counter[str] = Counter()
    for field, number in redis.hgetall(keys.stats(name)).items():
        found[field.decode().partition(":")[2]] += int(number)
    for number in redis.hvals(keys.enqueued(name)):
        found["enqueued"] += int(number)
    for field, row in redis.hgetall(keys.statistics(name)).items():
        if len(field) == 5 and field.startswith(DAYS_OF_ALL) and (tally := decode(row, span_of(row))) is not None:
            found["enqueued"] += tally.counts["enqueued"]
    return found
