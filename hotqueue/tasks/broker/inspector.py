"""Inspector: what a queue holds, who works at it, its dead tasks.

Runs nothing, and renews no lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker import holds, scripts
from hotqueue.tasks.broker.facts import Asking
from hotqueue.tasks.broker.gates import Gates
from hotqueue.tasks.broker.revoking import Revoking
from hotqueue.tasks.broker.revoking_many import RevokingMany
from hotqueue.tasks.broker.stored_queue import instant

Last = tuple[bytes, bytes]  # the last dead task of a page: its id and its time of death, as Redis says them

BEHIND = (
    "unique"  # what those are parked for that wait behind another with the same key; no worker looks for it, so it is no need
)
WAITING = ("ready", "scheduled", "blocked", "steps", "parked")  # of what is counted, where no worker has a task in hand


class Inspector(Revoking, RevokingMany, Asking, Gates):
    """What whoever operates a queue sees of it, and does to it. NewerQueue is raised where that needs a newer version."""

    def counts(self) -> dict[str, int]:
        """Return how many tasks are unfinished, ready, of these suspects, scheduled, blocked in lanes, parked, dead.

        And how many are steps that stand behind others, and how many wait, in no worker's hand. Ends what has expired first: of
        more than 10,000 that have, the rest is counted where it waits still, and ended by the next who looks.
        """
        n = self.name
        self.check_schema()
        if self.store.repeat(lambda: self.store.command(keys.expiring(n), "ZCARD", keys.expiring(n))):
            self._expire_if_allowed()

        def count(command: str, key: str) -> int:
            return int(self.store.command(key, command, key))

        def read() -> dict[str, int]:
            needs = self.store.command(keys.needs(n), "SMEMBERS", keys.needs(n))
            found = {
                "unfinished": count("HLEN", keys.tasks(n)),
                "ready": sum(count("ZCARD", key) for key in self.script_keys.ready),
                "suspects": count("ZCARD", keys.suspects(n)),
                "scheduled": count("ZCARD", keys.scheduled(n)) - self._timers(),
                "blocked": count("SCARD", keys.blocked(n)),
                "steps": count("HLEN", keys.steps(n)),
                "parked": sum(count("ZCARD", keys.parked(n, need)) for need in [*map(keys.text, needs), BEHIND]),
                "dead": count("ZCARD", keys.dead(n)),
            }
            return found | {"waiting": sum(found[where] for where in WAITING)}

        return self.store.repeat(read)

    def _timers(self) -> int:
        """Return how many of what stands in `scheduled` are no tasks; see lua/shared/timers.lua."""
        return int(self.store.command(keys.timers(self.name), "EXISTS", keys.timers(self.name)))

    def _expire_if_allowed(self) -> None:
        try:
            self.expire_all()
        except HotQueueError as error:  # whoever may only look, as hotwatch may, counts what is there
            if getattr(error, "retry", False):
                raise

    def workers(self) -> list[dict[str, str]]:
        """Return what the live workers announced."""
        self.check_schema()
        n = self.name

        def read() -> list[dict[str, str]]:
            found = []
            for worker in self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1):
                announced = self.store.command(keys.workers(n), "HGETALL", keys.worker(n, keys.text(worker)))
                if not announced:
                    continue  # it left just now
                pairs = zip(announced[::2], announced[1::2], strict=True)
                found.append({"worker": keys.text(worker), **{keys.text(k): keys.text(v) for k, v in pairs}})
                if "lease" in found[-1]:
                    found[-1]["lease"] = found[-1]["lease"].partition(" ")[0]  # see step.lua for what is behind
            return found

        return self.store.repeat(read)

    def held(self, worker: str) -> list[str]:
        """Return the ids of what a worker has in hand."""
        key = keys.held(self.name, worker)
        found = self.store.repeat(lambda: self.store.command(key, "HGETALL", key))
        return holds.ids_in(zip(found[::2], found[1::2], strict=True))

    def needs(self) -> list[str]:
        """Return what parked tasks wait for."""
        key = keys.needs(self.name)
        return [keys.text(need) for need in self.store.command(key, "SMEMBERS", key)]

    # --- the dead ------------------------------------------------------------------------------------------------

    def dead(self, count: int, start: int = 0, behind: Last | None = None) -> tuple[list[tuple[str, int, bytes]], Last | None]:
        """Return a page of dead tasks, newest first: (id, ms of death, record or b"") each; and behind what the next one goes on.

        Args:
            count: how many at most; large ones are fewer.
            start: how many of the newest to pass over, of the first page.
            behind: what the page before returned. Where its last has gone meanwhile, those come again that died in the same ms.
        """
        args = [count, start, *(behind or ("", ""))]
        ask = partial(self.store.run, scripts.LIST_DEAD, self.script_keys.list_dead(), args, doing="listing the dead")
        found = self.store.repeat(ask)
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        last = (found[-3], found[-2]) if found else None
        return [(keys.text(task_id), instant(at), record) for task_id, at, record in rows], last

    def dead_ids(self, count: int, start: int = 0) -> list[str]:
        """Return the ids of that many dead tasks, the newest; or of those behind the first `start`."""
        self.check_schema()
        key = keys.dead(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "ZREVRANGE", key, start, start + count - 1))
        return [keys.text(task_id) for task_id in found]

    def dead_count(self) -> int:
        """Return how many tasks are dead."""
        self.check_schema()
        key = keys.dead(self.name)
        return int(self.store.repeat(lambda: self.store.command(key, "ZCARD", key)))

    def dead_record(self, task_id: str) -> bytes | None:
        """Return the record of one dead task."""
        self.check_schema()
        key = keys.dead_tasks(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "HGET", key, task_id))
        return None if found is None else bytes(found)

    def revive(self, ids: Sequence[str]) -> list[str]:
        """Put dead tasks back into the queue; return the ids of those that were there."""
        return self.revive_free(ids)[0]

    def revive_free(self, ids: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Put dead tasks back into the queue.

        Returns:
            The ids of those that were there; and of those that stay dead, as another one has their unique key: id → that one's.
        """
        back, kept, left = [], dict[str, str](), list(ids)
        while left:
            seen, some, taken = self.store.repeat(partial(self._revive_some, left))
            back += [keys.text(task_id) for task_id in some]
            words = [keys.text(each) for each in taken]
            kept |= zip(words[::2], words[1::2], strict=True)
            left = left[seen:]
        return back, kept

    def _revive_some(self, ids: Sequence[str]) -> list[Any]:
        return list(self.store.run(scripts.REVIVE, self.script_keys.revive(), list(ids), doing="retrying the dead"))
