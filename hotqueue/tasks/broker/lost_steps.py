"""Lost steps: steps of workflows that wait for what nobody will tell them, as keys of their queue were deleted: found, and ended.

A step waits for as many ends as its row says, and each stands with the task that is to end (lua/shared/steps.lua). Where fewer
stand there, some were lost. Both are read in portions, while workers go on: so one is lost that is in two looks, one after the
other, and is still as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

from hotqueue import keys
from hotqueue.store.scripts import Script
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue, whole

MOST = 50_000  # steps that are looked at in one go, as they are kept in memory; the others have their turn later
AT_ONCE = 250
DOING = "looking for lost steps"


def keys_of(script: Script, name: str) -> list[str]:
    """Return the keys that a script of these gets."""
    return {
        scripts.WAITING_STEPS: [keys.steps(name), keys.steps_open(name)],
        scripts.AWAITED_STEPS: [keys.owned(name), keys.tasks(name)],
        scripts.END_LOST: [keys.ready(name), keys.owned(name), keys.steps(name), keys.steps_todo(name)],
    }[script]


class LostSteps(StoredQueue):
    """Those of one queue."""

    def end(self) -> int:
        """End steps that wait for nothing which is to come; return how many."""
        suspects = self._lost()
        again = self._lost() if suspects else {}
        lost = [(name, row) for name, row in suspects.items() if again.get(name) == row]
        ended = 0
        for start in range(0, len(lost), AT_ONCE):
            some = [part for pair in lost[start : start + AT_ONCE] for part in pair]
            end = partial(self.store.run, scripts.END_LOST, keys_of(scripts.END_LOST, self.name), some, doing=DOING)
            ended += max(0, int(self.store.repeat(end)))
        return ended

    def _lost(self) -> dict[bytes, bytes]:
        """Return the steps that wait for more ends than are to come, each with its row; none while ends are to be followed."""
        todo = keys.steps_todo(self.name)
        waiting: dict[bytes, bytes] = {}
        for name, row in self._scanned(scripts.WAITING_STEPS):
            waiting[name] = row
            if len(waiting) >= MOST:
                break
        if not waiting or self.store.command(todo, "EXISTS", todo):
            return {}
        to_come = Counter[bytes]()
        for name, number in self._scanned(scripts.AWAITED_STEPS):
            if name in waiting:
                to_come[name] += int(number)
        return {name: row for name, row in waiting.items() if to_come[name] < max(1, whole(row.split(b" ", 1)[0]))}

    def _scanned(self, script: Script) -> Iterator[tuple[bytes, bytes]]:
        cursor = b"0"
        while True:
            ask = partial(self.store.run, script, keys_of(script, self.name), [cursor], doing=DOING)
            cursor, *found = self.store.repeat(ask)
            yield from zip(found[::2], found[1::2], strict=True)
            if cursor == b"0":
                return
