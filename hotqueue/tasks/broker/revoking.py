"""Revoking: ending tasks that wait, revoked by somebody or past their expiry. What runs is ended by who runs it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue

EXPIRING = 250  # tasks that are ended at once, with some 14 commands each: as long as it takes to store 1,000
EXPIRED = 10_000  # tasks that one beat, or one look of somebody who counts, ends; however many there are
WATCHED = 20  # tasks in hand that somebody waits for
HANDOVER = 0.02  # seconds in which a task changes places: a fetch, a parking, a start


class Revoking(StoredQueue):
    """What ends tasks that wait in a queue."""

    def revoke(
        self, task_id: str, record: bytes, ttl_ms: int, need: str = "-", terminate: bool = False, patience: float = 0.0
    ) -> str:
        """End a waiting task; return "revoked", "running" or "unknown".

        Args:
            need: what it is parked for, as far as that is known.
            terminate: one that runs is to be stopped.
            patience: seconds to wait for a task that a worker may have in hand unstarted: it starts, or is ended.
        """
        deadline = time.monotonic() + patience
        while True:
            args = [task_id, need, record, ttl_ms, int(terminate)]
            end = partial(self.store.run, scripts.REVOKE, self.script_keys.revoke(task_id, need), args, doing="revoking")
            found = self.store.repeat(end)
            answer, *parked_for = [keys.text(each) for each in found]
            if answer == "parked":  # since we looked, or it has been parked again: a race that the next try wins
                need = parked_for[0]
            elif answer != "held":
                return answer
            elif time.monotonic() >= deadline:
                return "running"
            else:
                time.sleep(HANDOVER)
                if not self._may_be_unstarted(task_id):
                    deadline = 0.0

    def wait_for_start(self, ids: Sequence[str], patience: float) -> None:
        """Wait, so many seconds at most, until none of the first WATCHED of these lies in a worker's hand unstarted."""
        deadline, left = time.monotonic() + patience, list(ids[:WATCHED])
        tasks = keys.tasks(self.name)
        while left := [each for each in left if self._may_be_unstarted(each)]:
            if time.monotonic() >= deadline:
                return
            time.sleep(HANDOVER)
            left = [each for each in left if self.store.repeat(partial(self.store.command, tasks, "HEXISTS", tasks, each))]

    def _may_be_unstarted(self, task_id: str) -> bool:
        n = self.name
        workers = self.store.repeat(lambda: self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1))
        held = self.script_keys.unstarted([keys.text(worker) for worker in workers])
        look = partial(self.store.run, scripts.UNSTARTED, held, [task_id], doing="looking for a task that a worker holds")
        return not held or bool(self.store.repeat(look))

    def expire(self, tasks: Sequence[tuple[str, str]]) -> list[str]:
        """End tasks that wait past their expiry; return their ids.

        Args:
            tasks: (id, what it is parked for or "-") each, at most EXPIRING.
        """
        args = [part for task in tasks for part in task]
        end = partial(self.store.run, scripts.EXPIRE, self.script_keys.expire(tasks), args, doing="ending expired tasks")
        return [keys.text(task_id) for task_id in self.store.repeat(end)]

    def expire_all(self) -> list[str]:
        """End what waits past its expiry, at most EXPIRED tasks; return their ids."""
        ended: list[str] = []
        for _ in range(EXPIRED // EXPIRING):
            every_key = self.script_keys.list_expired()
            look = partial(self.store.run, scripts.LIST_EXPIRED, every_key, [EXPIRING], doing="listing expired tasks")
            found = [keys.text(each) for each in self.store.repeat(look)]
            if found:
                ended += self.expire(list(zip(found[::2], found[1::2], strict=True)))
            if len(found) < 2 * EXPIRING:
                break
        return ended
