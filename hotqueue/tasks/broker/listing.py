"""Listing: the unfinished tasks of a queue, as people look through them: a page at a time, without payloads. Changes nothing.

Between two pages things move on: what is there all the while comes once; what comes or goes meanwhile may come or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from hotqueue import keys
from hotqueue.tasks.broker import holds, scripts
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.broker.schema import Schema
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.rules.history import History, decode

PAGE = 100  # tasks that are asked for at once
WORKERS_AT_ONCE = 50  # whose hands are looked into by one trip


class Standing(NamedTuple):
    """One task, and where it stands.

    Attributes:
        how: "in hand", "ready", "suspect", "gate", "step", "scheduled", or what it is parked for: "unique", "paused:…", "task:…".
        score: when it is due (ms), of one that is scheduled; its place, of one that is ready.
        worker: the incarnation that has it in hand.
        envelope: without its payload.
    """

    id: str
    how: str
    score: float = 0.0
    worker: str = ""
    history: History | None = None
    envelope: bytes = b""

    @property
    def past(self) -> History:
        """What has happened to it."""
        return self.history or History()


class Listing(Schema):
    """What lists tasks."""

    def in_hand(self) -> Iterator[list[Standing]]:
        """Yield, page by page, the tasks that workers have in hand."""
        from hotqueue.store import pipeline  # imports redis

        n = self.name
        ask = partial(self.store.command, keys.workers(n), "ZRANGEBYSCORE", keys.workers(n), "(0", "+inf")  # see sweep.lua
        workers = [keys.text(worker) for worker in self.store.repeat(ask)]
        for start in range(0, len(workers), WORKERS_AT_ONCE):
            some = workers[start : start + WORKERS_AT_ONCE]
            asked = [("HGETALL", keys.held(n, worker)) for worker in some]
            replies = self.store.repeat(partial(pipeline.ask_all, self.store, asked, "looking what workers have in hand"))
            for worker, reply in zip(some, replies, strict=True):
                if isinstance(reply, Exception):
                    raise reply
                ids = holds.ids_in(zip(reply[::2], reply[1::2], strict=True))
                yield from self._glimpsed([Standing(task_id, "in hand", worker=worker) for task_id in ids])

    def waiting(self) -> Iterator[list[Standing]]:
        """Yield, page by page, those that wait for a worker: ready ones first, in their order, then those behind something."""
        for key, how in zip(self.script_keys.ready, ("ready", "ready", "suspect"), strict=True):
            yield from self._of_sorted_set(key, how)
        yield from self._of_scan("SSCAN", keys.blocked(self.name), "gate")
        for need in (BEHIND, *self._needs("paused:")):
            yield from self._of_sorted_set(keys.parked(self.name, need), need)
        yield from self._of_scan("HSCAN", keys.steps(self.name), "step")

    def scheduled_tasks(self) -> Iterator[list[Standing]]:
        """Yield, page by page, those that wait for their time, the next one first; those to be tried again among them."""
        yield from self._of_sorted_set(keys.scheduled(self.name), "scheduled")

    def parked_tasks(self) -> Iterator[list[Standing]]:
        """Yield, page by page, those that wait for a worker able to run them."""
        for need in self._needs():
            if not need.startswith("paused:"):
                yield from self._of_sorted_set(keys.parked(self.name, need), need)

    def _needs(self, prefix: str = "") -> list[str]:
        key = keys.needs(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "SMEMBERS", key))
        return sorted(need for need in map(keys.text, found) if need.startswith(prefix))

    def _of_sorted_set(self, key: str, how: str) -> Iterator[list[Standing]]:
        """Yield what stands in a sorted set; by scores, not by ranks, which change as the first ones go."""
        score, seen = "-inf", set[bytes]()  # of the last one, and the ids of that score
        while True:
            past = max(0, len(seen) - PAGE)  # of very many at one score, some may be passed over when others of them go
            ask = partial(self.store.command, key, "ZRANGEBYSCORE", key, score, "+inf", "WITHSCORES", "LIMIT", past, 2 * PAGE)
            found: list[bytes] = self.store.repeat(ask)
            pairs = list(zip(found[::2], found[1::2], strict=True))
            fresh = [(task_id, at) for task_id, at in pairs if task_id not in seen]
            yield from self._glimpsed([Standing(keys.text(task_id), how, float(at)) for task_id, at in fresh])
            if len(pairs) < 2 * PAGE or not fresh:
                return
            last = fresh[-1][1].decode()
            seen = {task_id for task_id, at in fresh if at == fresh[-1][1]} | (seen if last == score else set())
            score = last

    def _of_scan(self, command: str, key: str, how: str) -> Iterator[list[Standing]]:
        cursor: Any = b"0"
        while True:
            ask = partial(self.store.command, key, command, key, cursor, "COUNT", PAGE)
            cursor, found = self.store.repeat(ask)
            ids = found[::2] if command == "HSCAN" else found
            yield from self._glimpsed([Standing(keys.text(task_id), how) for task_id in ids])
            if cursor in (b"0", 0):
                return

    def _glimpsed(self, some: Sequence[Standing]) -> Iterator[list[Standing]]:
        """Yield these with what is known of them, as many at a time as are read at once; without those that are gone."""
        while some:
            args = [each.id for each in some[:BULK]]
            ask = partial(self.store.run, scripts.GLIMPSE, self.script_keys.glimpse(), args, doing="listing tasks")
            found: list[bytes] = self.store.repeat(ask)
            pairs = list(zip(found[::2], found[1::2], strict=True))
            rows = zip(some, pairs, strict=False)
            yield [each._replace(history=decode(past), envelope=data) for each, (past, data) in rows if data]
            some = some[len(pairs) :]
