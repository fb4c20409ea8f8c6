"""Keys of gates, and of the lanes in which tasks wait at them: a part of keys.py, which hands them on. No I/O.

What is in them, and who changes it: tasks/broker/lua/shared/gates.lua; why it is so, docs/decisions/0044 and 0052.
"""

from __future__ import annotations

from hotqueue.names import key_of as _of


def gated(name: str) -> str:
    """Hash: id → kind and gates of every unfinished task that has some; see docs/decisions/0044."""
    return _of(name, "gated")


def blocked(name: str) -> str:
    """Set: ids of all tasks that wait in lanes."""
    return _of(name, "blocked")


def lanes(name: str) -> str:
    """Set: lanes in which tasks wait, and gates at which lanes wait, or of which tasks have slots."""
    return _of(name, "lanes")


def lane(name: str, key: str) -> str:
    """Sorted set: id → place, tasks with the same gates that wait at one of them."""
    return _of(name, f"lane:{key}")


def turns(name: str, gate: str) -> str:
    """Sorted set: lane → its turn, of the lanes that wait at a gate; see docs/decisions/0052."""
    return _of(name, f"turns:{gate}")


def starts(name: str, gate: str) -> str:
    """String with TTL: when tasks have started that a rate bounds, as long as they count; see lua/shared/rates.lua."""
    return _of(name, f"starts:{gate}")


def timers(name: str) -> str:
    """Sorted set: gate of a rate at which lanes wait → when one may start there, in ms; the first is in `scheduled` too."""
    return _of(name, "timers")


def paused_keys(name: str) -> str:
    """Hash: key of gates that is paused → since when in ms."""
    return _of(name, "paused:keys")


def slots(name: str, key: str) -> str:
    """Set: ids of the tasks that have a slot of a gate: those in ready; of a gate of how many run, those in hand as well."""
    return _of(name, f"slots:{key}")
