"""Lost steps: steps of workflows that wait for what nobody will tell them, as keys of their queue were deleted: found, and ended.

A step waits for as many ends as its row says, and each stands with the task that is to end (lua/shared/steps.lua). Where fewer
stand there, some were lost. Both are read in portions, while workers go on: so one is lost that is in two looks, one after the
other, and is still as it was. What a step takes from another queue may come in parts, as long as that one's outbox has the step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

from hotqueue import keys
from hotqueue.errors import NewerQueue
from hotqueue.store.scripts import Script
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.crossing import is_step
from hotqueue.tasks.broker.posting import Posting
from hotqueue.tasks.broker.stored_queue import whole
from hotqueue.tasks.wire import plan

MOST = 50_000  # steps that are looked at in one go, as they are kept in memory; the others have their turn later
AT_ONCE = 250
ON_ITS_WAY = b"@in"  # in the place of its workflow: a step that has not got all that it takes from another queue
DOING = "looking for lost steps"


def keys_of(script: Script, name: str) -> list[str]:
    """Return the keys that a script of these gets."""
    return {
        scripts.WAITING_STEPS: [keys.steps(name), keys.steps_open(name)],
        scripts.AWAITED_STEPS: [keys.owned(name), keys.tasks(name)],
        scripts.END_LOST: [keys.ready(name), keys.owned(name), keys.steps(name), keys.steps_todo(name)],
    }[script]


class LostSteps(Posting):
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
        """Return the steps that wait for more than is to come, each with its row; none while ends are to be followed."""
        todo = keys.steps_todo(self.name)
        waiting: dict[bytes, bytes] = {}
        for name, row in self._scanned(scripts.WAITING_STEPS):
            waiting[name] = row
            if len(waiting) >= MOST:
                break
        if not waiting or self.store.command(todo, "EXISTS", todo):
            return {}
        on_their_way = {name: row for name, row in waiting.items() if row.split(b" ", 4)[4:] == [ON_ITS_WAY]}
        others = {name: row for name, row in waiting.items() if name not in on_their_way}
        to_come = Counter[bytes]()
        for name, number in self._scanned(scripts.AWAITED_STEPS) if others else ():
            if name in others:
                to_come[name] += int(number)
        lost = {name: row for name, row in others.items() if to_come[name] < max(1, whole(row.split(b" ", 1)[0]))}
        return lost | self._not_brought(on_their_way)

    def _not_brought(self, on_their_way: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return those that no queue brings any more which is to be told of their ends, or that something ever came from."""
        lost = {}
        owned, sources = keys.owned(self.name), list[str]()
        for name, row in on_their_way.items():
            entry = self.store.repeat(partial(self.store.command, owned, "HGET", owned, name)) or b""
            homes = [plan.unquoted(line[1:]) for line in entry.split(b"\n")[1:] if line.startswith(b"h")]
            sources = sources or ([] if homes else [*self.sources()])
            if not any(self._is_brought_from(home, name) for home in homes or sources):
                lost[name] = row
        return lost

    def _is_brought_from(self, home: str, name: bytes) -> bool:
        """Tell whether a queue has such a step in its outbox, or is to post it anew; have it name us there, if it does not."""
        try:
            _, first = Posting(self.store, home).posted(self.name, 1)  # what comes in parts is the first there, see relay.py
        except NewerQueue:
            return True
        outbox, steps = keys.outbox(home), keys.steps(home)
        if first and is_step(first[0], keys.text(name)):
            self.store.repeat(partial(self.store.command, outbox, "HSETNX", outbox, keys.raw(self.name), "0"))
            return True
        row = self.store.repeat(partial(self.store.command, steps, "HGET", steps, name))
        return row is not None and b">" in row.split(b" ", 4)[3]

    def _scanned(self, script: Script) -> Iterator[tuple[bytes, bytes]]:
        cursor = b"0"
        while True:
            ask = partial(self.store.run, script, keys_of(script, self.name), [cursor], doing=DOING)
            cursor, *found = self.store.repeat(ask)
            yield from zip(found[::2], found[1::2], strict=True)
            if cursor == b"0":
                return
