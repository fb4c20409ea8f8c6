"""Audit: looks for the tasks of a queue that stand nowhere, a portion at a time, and restores them.

However many tasks and keys there are, a portion is bounded, since whoever audits renews leases as well; the next one goes on from
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import holds, scripts
from hotqueue.tasks.broker.maintenance import Maintenance
from hotqueue.tasks.broker.stored_queue import BULK

PAGES = 100  # in a portion; a page is BULK keys of the server, or as many tasks and no more of them than are read at once


class Audit:
    """The audit of one queue, by one process.

    That a task stands nowhere only others at our keys bring about. It takes a look at lengths to know that none does; which one
    it is takes a look at all. What a worker without a lease holds goes back first: where it was, and fenced, should it live.
    """

    def __init__(self, queue: Maintenance) -> None:
        self._queue = queue
        self._store, self._name = queue.store, queue.name
        self._pages: Iterator[int] | None = None  # of the look that is under way

    def portion(self) -> int:
        """Begin to look, or go on; return how many tasks were restored."""
        key = keys.tasks(self._name)
        nowhere, page, has_lanes, has_unique = 0, 1, 0, 0
        of_gates = keys.lanes(self._name), keys.gated(self._name), keys.unique(self._name)
        if self._store.command(key, "EXISTS", key, *of_gates):  # an idle queue costs one command
            nowhere, _, page, has_lanes, has_unique = self._ask(())
        try:
            if has_unique:
                self._queue.mend_unique()
        finally:
            try:
                if has_lanes:
                    self._queue.mend_lanes()
            finally:  # what is wrong with a lane, or a key, keeps no other task from being restored
                restored = self._restored(nowhere, page)
        return restored

    def _restored(self, nowhere: int, page: int) -> int:
        """Look at some pages, if tasks stand nowhere, or a look is under way; return how many were restored."""
        if nowhere <= 0:
            self._pages = None
            return 0
        restored, pages = 0, self._pages or self._look(page)
        self._pages = pages
        for _ in range(PAGES):
            found = next(pages, None)
            if found is None:  # it is through, or an error ended it the last time
                self._pages = None
                break
            restored += found
        return restored

    def _ask(self, ids: Sequence[bytes]) -> list[Any]:
        n = self._name
        workers = self._store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1)
        needs = self._store.command(keys.needs(n), "SMEMBERS", keys.needs(n))
        every_key = self._queue.script_keys.audit([keys.text(worker) for worker in workers], [keys.text(need) for need in needs])
        args = [len(workers), len(needs), *workers, *needs, *ids]
        return list(self._store.run(scripts.AUDIT, every_key, args, doing="looking for tasks that stand nowhere"))

    def _look(self, page: int) -> Iterator[int]:
        """Yield for each page how many tasks were restored; `page` is of how many tasks the first one is."""
        yield from self._reap_strays()
        key, cursor = keys.tasks(self._name), b"0"
        while True:
            cursor, found = self._store.command(key, "HSCAN", key, cursor, "COUNT", page)
            ids = found[::2]  # of a small hash all come, whatever the page
            for start in range(0, max(1, len(ids)), BULK):
                nowhere, restored, page, *_ = self._ask(ids[start : start + BULK])
                yield len(restored)
            if nowhere <= 0 or cursor == b"0":
                return

    def _reap_strays(self) -> Iterator[int]:
        """Reap the workers that hold tasks but have no lease."""
        n, cursor = self._name, b"0"
        prefix = keys.held(n, "")
        match = prefix.replace("[", "?").replace("]", "?").replace("*", "?") + "*"
        while True:
            cursor, found = self._store.command(keys.workers(n), "SCAN", cursor, "MATCH", match, "COUNT", BULK)
            yield sum(self._reap_stray(keys.text(key).removeprefix(prefix)) for key in found)
            if cursor == b"0":
                return

    def _reap_stray(self, worker: str) -> int:
        n = self._name
        if self._store.command(keys.workers(n), "ZSCORE", keys.workers(n), worker) is not None:
            return 0
        found = self._store.command(keys.workers(n), "HGETALL", keys.held(n, worker))
        self._queue.reap(worker, known_dead=True)
        return len(holds.ids_in(zip(found[::2], found[1::2], strict=True)))
