"""Queues that a worker is to work at and nobody knows, most likely misspelt: says so, and which may be meant."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hotqueue.errors import HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.store.store import Store
from hotqueue.tasks.broker import many_queues
from hotqueue.tasks.client.registry import Registry

log = logging.getLogger("hotqueue.worker")


def warn(unknown: Sequence[str], defined: Sequence[str], registries: Sequence[Registry]) -> None:
    """Warn of each queue that is neither defined nor in use, naming the nearest that is.

    Args:
        unknown: names that were asked for, and that no module defines.
        defined: names that the modules define.
    """
    for store in {registry.store for registry in registries}:
        here = [registry.name for registry in registries if registry.store is store and registry.name in unknown]
        used = _in_use(store) if here else set()
        for name in here:
            if name not in (used or ()) and (defined or used is not None):
                _warn_of(name, defined, used or set())


def _warn_of(name: str, defined: Sequence[str], used: set[str]) -> None:
    near = did_you_mean(name, [*defined, *sorted(used)])
    there = f" (there {'are' if len(defined) > 1 else 'is'} {', '.join(map(repr, sorted(defined)))})" if defined else ""
    what = "no module defines it" + there if defined else "nothing was ever sent to it"
    log.warning("queue %r is unknown: %s%s; working at it all the same", name, what, near.removesuffix("?"))


def _in_use(store: Store) -> set[str] | None:
    try:
        return many_queues.in_use(store)
    except HotQueueError:  # an outage, or no permission to list keys
        return None
