"""Ordering: what a program of workers is told to do by somebody who knows its name alone: to stop, or to take nothing more.

An order stands beside those to end running tasks, in `control`, under what is no id of a task; so every sweep shows it at no
cost. Whoever it is for strikes it as it obeys; whoever gave it takes it back when nobody does; else it lapses.
"""

from __future__ import annotations

from functools import partial

from hotqueue import keys
from hotqueue.tasks.broker.stored_queue import StoredQueue, whole

STOP, QUIET = "stop", "quiet"
VERBS = (STOP, QUIET)


def order_of(verb: str, program: str) -> str:
    """Return under what an order stands.

    Args:
        program: the incarnation of its supervisor.
    """
    return f"\n{verb}\n{program}"


def is_order(task_id: str) -> bool:
    """Tell whether it is one; else it is the id of a task that is to be ended."""
    return task_id.startswith("\n")


def verb_for(order: str, program: str) -> str:
    """Return what a program is told by an order; "" if it is for another."""
    return next((verb for verb in VERBS if order == order_of(verb, program)), "")


def has_lapsed(value: bytes, now: int) -> bool:
    """Tell whether an order is too old to be obeyed."""
    return whole(value) < now


class Ordering(StoredQueue):
    """Orders at one queue."""

    def order(self, order: str, patience_ms: int) -> None:
        """Give an order, which lapses after a while."""
        key = keys.control(self.name)
        seconds, _ = self.store.repeat(lambda: self.store.command(key, "TIME"))
        until = str(int(seconds) * 1000 + patience_ms)
        self.store.repeat(partial(self.store.command, key, "HSET", key, order, until, doing="giving an order to a worker"))

    def strike_order(self, order: str) -> bool:
        """Take an order away; return whether it was there."""
        key = keys.control(self.name)
        return bool(self.store.repeat(partial(self.store.command, key, "HDEL", key, order)))

    def has_order(self, order: str) -> bool:
        """Tell whether an order is there, so that nobody has obeyed so far."""
        key = keys.control(self.name)
        return bool(self.store.repeat(partial(self.store.command, key, "HEXISTS", key, order)))
