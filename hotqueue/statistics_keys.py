"""Keys of statistics and of ended tasks: a part of keys.py, which hands them on. No I/O."""

from __future__ import annotations

from hotqueue.names import key_of as _of


def stats(name: str) -> str:
    """Hash: ``minute:what`` → count; trimmed by maintenance."""
    return _of(name, "stats")


def enqueued(name: str) -> str:
    """Hash: ``minute:task`` → how many were enqueued that are not in `statistics` yet; see docs/decisions/0065."""
    return _of(name, "enqueued")


def accounts(name: str) -> str:
    """List: what was told with settlements, of some hundred tasks each; what is in `statistics` already stands in front."""
    return _of(name, "accounts")


def ended(name: str) -> str:
    """List with TTL: `accounts`, while all of them are in `statistics`: of the tasks that ended last, the oldest first."""
    return _of(name, "ended")


def statistics(name: str) -> str:
    """Hash with TTL: step, number of a task's name and of a span → what happened in it; the names; see docs/decisions/0065."""
    return _of(name, "statistics")


def deploys(name: str) -> str:
    """List with TTL: the last deploys, a line of JSON each."""
    return _of(name, "deploys")
