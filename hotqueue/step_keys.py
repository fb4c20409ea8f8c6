"""Keys of the steps of workflows that wait for others: a part of keys.py, which hands them on. No I/O.

What is in them, and who changes it: tasks/broker/lua/shared/steps.lua; why it is so, docs/decisions/0061.
"""

from __future__ import annotations

from hotqueue.names import key_of as _of


def steps(name: str) -> str:
    """Hash: a step of a workflow that waits → how many ends it needs yet, and where it goes then; see docs/decisions/0061."""
    return _of(name, "steps")


def dead_steps(name: str) -> str:
    """Hash: a step that has ended as one before it is dead, and may be retried → the same as in `steps`, and its envelope."""
    return _of(name, "dead:steps")


def steps_todo(name: str) -> str:
    """List: ends of tasks that are still to be followed to the steps behind them."""
    return _of(name, "steps:todo")


def steps_reported(name: str) -> str:
    """Set: tasks whose end another queue is to be told, as a workflow waits for it there; see docs/decisions/0066."""
    return _of(name, "steps:reported")


def steps_open(name: str) -> str:
    """Sorted set: a workflow of which more is to be sent → until when in ms."""
    return _of(name, "steps:open")
