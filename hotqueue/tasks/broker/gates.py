"""Gates of a queue's tasks, as people see them: at which a task waits, and what keeps it shut; pauses of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue, whole


@dataclass(frozen=True, slots=True)
class AtGate:
    """At which gate a task waits in its lane.

    Attributes:
        what: "c" so many run at a time, "r" a rate, "f" others have their turn, "p" its key is paused; "": at none, it goes on.
        key: of that gate, with its "t:" (of a task) or "k:".
        limit: of a gate of what runs at a time, or of a rate; as the first task of the lane has it.
        used: how many slots are taken there; of a rate, with the starts that count.
        period: ms, of a rate.
        opens_in: ms until the gate of a rate lets the next one start; -1 where that is not known.
        ahead: tasks in front of it in its lane.
        lanes_ahead: lanes whose turn at that gate is before its own.
        holders: ids of some tasks that have slots there, at most 10.
    """

    what: str
    key: str
    limit: int
    used: int
    period: int
    opens_in: int
    ahead: int
    lanes_ahead: int
    holders: list[str]


def at_gate_of(found: Sequence[Any]) -> AtGate | None:
    """Return what at_gate.lua says."""
    if not found:
        return None
    what, key, limit, used, period, opens_in, ahead, lanes_ahead, *holders = found
    numbers = int(limit), int(used), int(period), int(opens_in), int(ahead), int(lanes_ahead)
    return AtGate(keys.text(what), keys.text(key), *numbers, [keys.text(each) for each in holders])


class Gates(StoredQueue):
    """What is known of gates, and done to them by hand."""

    def at_gate(self, task_id: str) -> AtGate | None:
        """Return at which gate a task waits; None where it waits in no lane."""
        ask = partial(self.store.run, scripts.AT_GATE, self.script_keys.at_gate(), [task_id], doing="looking at a gate")
        return at_gate_of(self.store.repeat(ask))

    def pause_key(self, key: str) -> bool:
        """Have no task start that counts under this key, at any gate; return False where that was so already.

        Args:
            key: what concurrency_key=, rate_limit_key= or fair_key= makes.
        """
        return self._pause_key(key, "1")

    def resume_key(self, key: str) -> bool:
        """Have tasks with this key start again; return False where it was not paused."""
        return self._pause_key(key, "")

    def _pause_key(self, key: str, is_to_stop: str) -> bool:
        args = [f"k:{key}", is_to_stop]
        act = partial(self.store.run, scripts.PAUSE_KEY, self.script_keys.pause_key(), args, doing="pausing a key")
        return bool(self.store.repeat(act))

    def paused_keys(self) -> dict[str, int]:
        """Return the keys that are paused, and since when in ms."""
        key = keys.paused_keys(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "HGETALL", key))
        return {keys.text(each).removeprefix("k:"): whole(since) for each, since in zip(found[::2], found[1::2], strict=True)}
