"""What fields of a filter may be, by what a store has: names of queues, tasks and workers; for whoever types one. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.monitor import finding, inventory
from hotqueue.monitor.workers import workers
from hotqueue.store.store import Store

QUEUES = 20  # whose workers are asked for the names of their tasks, and for their own


def known(store: Store, text: str, cursor: int, names: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the names that the field at a place in a filter may have, as `filter_text.offers` takes them; few are read for it.

    Args:
        names: of queues, or globs, among which it is looked; in all where there are none.
    """
    word = text[:cursor].rpartition(" ")[2]
    field, colon, _ = word.removeprefix("-").partition(":")
    if not colon or field not in ("queue", "task", "worker"):
        return {}
    queues = finding.queues(store, names)[0] if names else inventory.queue_names(store)
    if field == "queue":
        return {field: queues}
    if field == "task":
        return {field: finding.known_tasks(store, queues[:QUEUES])}
    return {field: [each.id for each in workers(store, queues[:QUEUES])]}
