"""Keys of schedules: a part of keys.py, which hands them on. No I/O.

What is in them, and who changes it: tasks/broker/scheduling.py; why it is so, docs/decisions/0051.
"""

from __future__ import annotations

from hotqueue.names import key_of as _of


def schedules(name: str) -> str:
    """Hash: schedule → when it fires, and the call that it makes; see docs/decisions/0051."""
    return _of(name, "schedules")


def schedule_states(name: str) -> str:
    """Hash: schedule → its next slot and its last one in ms, whether it is paused, whose declaration it is."""
    return _of(name, "schedules:states")


def schedules_next(name: str) -> str:
    """Sorted set: schedule → when it is to fire next in ms; none of what is paused, or over, or declared by nobody who lives."""
    return _of(name, "schedules:next")


def declarers(name: str) -> str:
    """Sorted set with TTL: who declares schedules, and which version of them → until when it lives in ms; for a day."""
    return _of(name, "schedules:declarers")
