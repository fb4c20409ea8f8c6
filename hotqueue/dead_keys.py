"""Keys of the dead list, and of what was thrown away of it: a part of keys.py, which hands them on. No I/O.

What is in them, and who changes it: tasks/broker/lua/shared/dead_list.lua and discarded.lua; docs/decisions/0071.
"""

from __future__ import annotations

from hotqueue.names import key_of as _of


def dead(name: str) -> str:
    """Sorted set: id → time of death in ms."""
    return _of(name, "dead")


def dead_tasks(name: str) -> str:
    """Hash: id → envelope, attempts and reason."""
    return _of(name, "dead:tasks")


def dead_bytes(name: str) -> str:
    """String: how many bytes of `dead:tasks` there are."""
    return _of(name, "dead:bytes")


def discarded(name: str) -> str:
    """Sorted set with TTL: id of a dead task that was thrown away lately → when that was in ms; see docs/decisions/0071."""
    return _of(name, "discarded")


def discarded_tasks(name: str) -> str:
    """Hash with TTL: id → the same as in `dead:tasks`, with what it takes to bring it back in front."""
    return _of(name, "discarded:tasks")
