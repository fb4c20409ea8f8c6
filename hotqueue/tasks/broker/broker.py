"""Every operation on tasks in Redis, one method each. With session.py the only file of tasks/ that speaks Redis.

One queue as anyone sees it. As one worker sees it, fenced by its incarnation and its fetch numbers: session.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.errors import HotQueueError, NotTaken, SerializationError
from hotqueue.runtime.ending import in_thread
from hotqueue.store.blocking import Blocking
from hotqueue.store.packing import PackedCall
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.reply_line import ReplyLine
from hotqueue.tasks.rules.history import KILLED, Attempts, json_object
from hotqueue.tasks.rules.history import decode as decode_attempts
from hotqueue.tasks.wire.envelope import ASYNC

AT_ONCE = 0.1  # seconds for which a loop tries
FAR = 1e16  # ms, further away than any instant; what stands in a sorted set may be infinite
HAND_TO_HAND = 0.02  # seconds in which a task passes from one hand to the next: a fetch, a parking, a start
LOOKING, LOOKS = "looking at a task", 3  # it may be parked anew between a look and what follows
BULK = 1000  # tasks a script call handles at most


@dataclass(slots=True)
class Looked:
    """What is known of one task: where it is, its record, history, envelope and progress."""

    where: str
    record: bytes
    attempts: Attempts
    detail: float
    envelope: bytes
    progress: dict[str, Any] | None


@dataclass(slots=True)
class Survey:
    """What a sweep finds.

    Attributes:
        now: server time in ms.
        due: ms until the next scheduled task, -1 when there is none.
        gone: own workers that were given up.
        others: (worker of somebody else, ms left of its lease).
        stops: id of a running task that is to be stopped → the record to end it with.
        unfinished: how many tasks there are.
        suspects: how many tasks wait for a quarantine process.
        has_expired: tasks wait past their expiry.
    """

    now: int
    due: int
    gone: list[str]
    others: list[tuple[str, int]]
    stops: dict[str, bytes]
    unfinished: int
    suspects: int
    has_expired: bool


def instant(score: bytes) -> int:
    """Return the ms that stand as a score in a sorted set, where somebody else may have put an infinite one."""
    return int(min(max(float(score), -FAR), FAR))


class Broker:
    """One queue's tasks."""

    is_in_place = False

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        n = name
        self.done = [keys.done(n, third) for third in range(3)]
        self.ready = [keys.ready(n), keys.ready_async(n), keys.suspects(n)]
        self.bells = [keys.bell(n), keys.bell_async(n)]
        self._enqueue_keys = [
            *(keys.tasks(n), keys.attempts(n), keys.ready(n), keys.ready_async(n), keys.scheduled(n), keys.seq(n)),
            *(*self.bells, keys.dead_tasks(n), *self.done, keys.stats(n), keys.expiring(n), keys.large(n)),
        ]
        self._ending_keys = [  # of what ends tasks that wait: see `end_waiting` in lua/prelude.lua
            *(keys.tasks(n), keys.attempts(n), *self.ready, keys.scheduled(n), keys.needs(n), keys.waiters(n)),
            *(*self.done, keys.stats(n), keys.expiring(n), keys.revoked(n), keys.large(n)),
        ]
        self._result = keys.raw(keys.result(n, ""))
        self._enqueue_one = [self._packed_enqueue(is_async) for is_async in (0, 1)]

    # --- clients -------------------------------------------------------------------------------------------------

    def enqueue(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        """Store tasks; those whose id is known already stay as they are.

        Args:
            tasks: (id, due, expires, envelope) each, at most BULK; due and expires are "", "+ms from now" or "ms".

        Returns:
            One bool a task: True when it is new.

        Raises:
            ConnectionFailed: after 5 s; then it is unknown what was stored, and repeating with the same ids is safe.
            QueueFull: the server is out of memory.
            SerializationError: the server takes nothing as large; NotTaken where others of `tasks` were stored.
        """
        if len(tasks) == 1 and not tasks[0][1] and not tasks[0][2]:
            return [self.enqueue_one(tasks[0][0], tasks[0][3])]
        try:
            return self.store.repeat(lambda: self._enqueue_once(tasks))
        except SerializationError:
            if len(tasks) == 1:
                raise
        return self._enqueue_apart(tasks)

    def _enqueue_apart(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        """Store tasks one by one, after a refusal of all that was because of some."""
        stored: list[bool] = []
        refused: dict[str, SerializationError] = {}
        for task in tasks:
            try:
                stored += self.enqueue([task])
            except SerializationError as error:
                refused[task[0]] = error
        if refused:
            first = next(iter(refused.values()))
            raise NotTaken(f"{len(refused)} of {len(tasks)} tasks were refused, the others were sent: {first}", set(refused))
        return stored

    def enqueue_one(self, task_id: str, envelope: bytes) -> bool:
        """Store a task that may run at once, unless its id is known already; as `enqueue`."""
        raw_id = keys.raw(task_id)
        return self._enqueue_one[envelope[1] == ASYNC](self._result + raw_id, raw_id, envelope)

    def _packed_enqueue(self, is_async: int) -> PackedCall:
        n = self.name
        ready, bell = self.ready[is_async], self.bells[is_async]
        own = (keys.tasks(n), ready, keys.seq(n), bell, keys.dead_tasks(n), *self.done, keys.stats(n), keys.large(n))
        return PackedCall(self.store, scripts.ENQUEUE_ONE, [keys.raw(key) for key in own], "enqueueing")

    def _enqueue_once(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        every_key, args = self._enqueue_args(tasks)
        return [bool(new) for new in self.store.run(scripts.ENQUEUE, every_key, args, "enqueueing", repeatable=True)]

    async def aenqueue(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> list[bool]:
        """Asyncio twin of `enqueue`."""
        if len(tasks) == 1 and not tasks[0][1] and not tasks[0][2]:
            task_id, envelope = keys.raw(tasks[0][0]), tasks[0][3]
            return [await self._enqueue_one[envelope[1] == ASYNC].acall(self._result + task_id, task_id, envelope)]
        every_key, args = self._enqueue_args(tasks)
        try:
            answer = await self.store.arepeat(lambda: self.store.arun(scripts.ENQUEUE, every_key, args, doing="enqueueing"))
        except SerializationError:
            if len(tasks) == 1:
                raise
            return await in_thread(self._enqueue_apart, tasks)
        return [bool(new) for new in answer]

    def _enqueue_args(self, tasks: Sequence[tuple[str, str, str, bytes]]) -> tuple[list[str], list[Any]]:
        name = self.name
        every_key = self._enqueue_keys + [keys.result(name, task[0]) for task in tasks]
        return every_key, [part for task in tasks for part in task]

    def wait(self, ids: Sequence[str], client: str) -> dict[str, int]:
        """Have a client's reply list told about tasks, at once or when they end; return in how many ms those expire that may."""
        every_key, args = self._wait_args(ids, client)
        return self.expiring(self.store.run(scripts.WAIT, every_key, args, doing="waiting for a result"))

    @staticmethod
    def expiring(answer: Sequence[Any]) -> dict[str, int]:
        """Return what `wait` answers: id → ms until it expires, of tasks that are still to come."""
        return {keys.text(task_id): ms for task_id, ms in zip(answer[::2], answer[1::2], strict=True)}

    def _wait_args(self, ids: Sequence[str], client: str) -> tuple[list[str], list[Any]]:
        return self._wait_keys(client) + [keys.result(self.name, task_id) for task_id in ids], list(ids)

    def _wait_keys(self, client: str) -> list[str]:
        name = self.name
        return [keys.tasks(name), *self.done, keys.reply(name, client), keys.waiters(name), keys.attempts(name)]

    async def await_reply(self, ids: Sequence[str], client: str) -> dict[str, int]:
        """Asyncio twin of `wait`, without its patience: a loop that gets no connection asks in another way."""
        every_key, args = self._wait_args(ids, client)
        ask = partial(self.store.arun, scripts.WAIT, every_key, args, doing="waiting for a result")
        return self.expiring(await self.store.arepeat(ask, patience=AT_ONCE))

    def reply_line(self, client: str, longest: float) -> ReplyLine:
        """Return a connection that blocks some seconds, at most `longest`, for the next message of a client's reply list."""
        return ReplyLine(self.store, keys.reply(self.name, client), self._wait_keys(client), self._result, longest)

    def replies_now(self, client: str) -> list[bytes]:
        """Return what is in a client's reply list, over the connection of any command: for want of one that can block."""
        key = keys.reply(self.name, client)
        found: list[bytes] | None = self.store.command(key, "LPOP", key, BULK, doing="waiting for a result")
        return found or []

    def record(self, task_id: str) -> bytes | None:
        """Return the stored record of a task."""
        key = keys.result(self.name, task_id)
        found = self.store.repeat(lambda: self.store.command(key, "GET", key))
        return None if found is None else bytes(found)

    def records(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored records of tasks, which together should be no more than one trip carries."""
        every_key = [keys.result(self.name, task_id) for task_id in ids]
        found: list[bytes | None] = self.store.repeat(lambda: self.store.command(every_key[0], "MGET", *every_key))
        return found

    def forget(self, task_id: str) -> None:
        """Remove the stored record of a task."""
        key = keys.result(self.name, task_id)
        self.store.repeat(lambda: self.store.command(key, "DEL", key))

    def look(self, task_id: str) -> Looked:
        """Return what is known of a task; one that waits past its expiry is ended first, as no worker may be there to."""
        for _ in range(LOOKS):
            found = self.store.repeat(partial(self.store.run, scripts.LOOK, self._look_keys(task_id), [task_id], doing=LOOKING))
            looked = self._looked(found)
            if not found[6] or not self.expire([(task_id, looked.attempts.need)]):
                break
        return looked

    async def alook(self, task_id: str) -> Looked:
        """Asyncio twin of `look`, without its patience: see `await_reply`."""
        look = partial(self.store.arun, scripts.LOOK, self._look_keys(task_id), [task_id], doing=LOOKING)
        found = await self.store.arepeat(look, patience=AT_ONCE)
        return await in_thread(self.look, task_id) if found[6] else self._looked(found)

    def _look_keys(self, task_id: str) -> list[str]:
        n = self.name
        return [
            *(keys.tasks(n), keys.attempts(n), *self.ready, keys.scheduled(n), keys.result(n, task_id)),
            *(*self.done, keys.dead_tasks(n), keys.progress(n, task_id)),
        ]

    def _looked(self, found: list[Any]) -> Looked:
        where, record, attempts, detail, envelope, progress = found[:6]
        return Looked(where.decode(), record, decode_attempts(attempts), float(detail), envelope, json_object(progress))

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
            every_key = [
                *self._ending_keys,
                keys.result(self.name, task_id),
                keys.parked(self.name, need),
                keys.control(self.name),
            ]
            args = [task_id, need, record, ttl_ms, int(terminate)]
            found = self.store.repeat(partial(self.store.run, scripts.REVOKE, every_key, args, doing="revoking"))
            answer, *parked_for = [keys.text(each) for each in found]
            if answer == "parked":  # since we looked, or it has been parked again: a race that the next try wins
                need = parked_for[0]
            elif answer != "held":
                return answer
            elif time.monotonic() >= deadline:
                return "running"
            else:
                time.sleep(HAND_TO_HAND)
                if not self._may_be_unstarted(task_id):
                    deadline = 0.0

    def _may_be_unstarted(self, task_id: str) -> bool:
        n = self.name
        workers = self.store.repeat(lambda: self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1))
        held = [keys.held(n, keys.text(worker)) for worker in workers]
        look = partial(self.store.run, scripts.UNSTARTED, held, [task_id], doing="looking for a task in a worker's hand")
        return not held or bool(self.store.repeat(look))

    def expire(self, tasks: Sequence[tuple[str, str]]) -> list[str]:
        """End tasks that wait past their expiry; return their ids.

        Args:
            tasks: (id, what it is parked for or "-") each, at most BULK.
        """
        n = self.name
        own = [key for task_id, need in tasks for key in (keys.result(n, task_id), keys.parked(n, need))]
        args = [part for task in tasks for part in task]
        end = partial(self.store.run, scripts.EXPIRE, [*self._ending_keys, *own], args, doing="ending expired tasks")
        return [keys.text(task_id) for task_id in self.store.repeat(end)]

    def expire_all(self, most: int = 100) -> list[str]:
        """End what waits past its expiry, in at most so many batches of BULK; return the ids."""
        ended: list[str] = []
        every_key = [keys.expiring(self.name), keys.attempts(self.name)]
        for _ in range(most):
            look = partial(self.store.run, scripts.LAPSED, every_key, [], doing="looking for expired tasks")
            found = [keys.text(each) for each in self.store.repeat(look)]
            if found:
                ended += self.expire(list(zip(found[::2], found[1::2], strict=True)))
            if len(found) < 2 * BULK:
                break
        return ended

    def report(self, task_id: str, progress: dict[str, Any], ttl: int = 3600) -> None:
        """Publish a running task's progress."""
        key = keys.progress(self.name, task_id)
        self.store.repeat(lambda: self.store.command(key, "SET", key, json.dumps(progress), "EX", ttl))

    # --- the dead ------------------------------------------------------------------------------------------------

    def dead(self, start: int, count: int) -> list[tuple[str, int, bytes]]:
        """Return (id, ms of death, record) of dead tasks, newest first."""
        n = self.name

        def read() -> list[tuple[str, int, bytes]]:
            found = self.store.command(keys.dead(n), "ZREVRANGE", keys.dead(n), start, start + count - 1, "WITHSCORES")
            if not found:
                return []
            records = self.store.command(keys.dead_tasks(n), "HMGET", keys.dead_tasks(n), *found[::2])
            rows = zip(found[::2], found[1::2], records, strict=True)
            return [(keys.text(task_id), instant(at), record) for task_id, at, record in rows if record]

        return self.store.repeat(read)

    def dead_ids(self, count: int) -> list[str]:
        """Return the ids of that many dead tasks, the newest."""
        key = keys.dead(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "ZREVRANGE", key, 0, count - 1))
        return [keys.text(task_id) for task_id in found]

    def dead_count(self) -> int:
        """Return how many tasks are dead."""
        key = keys.dead(self.name)
        return int(self.store.repeat(lambda: self.store.command(key, "ZCARD", key)))

    def dead_record(self, task_id: str) -> bytes | None:
        """Return the record of one dead task."""
        key = keys.dead_tasks(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "HGET", key, task_id))
        return None if found is None else bytes(found)

    def revive(self, ids: Sequence[str]) -> list[str]:
        """Put dead tasks back into the queue; return the ids of those that were there."""
        back, left = [], list(ids)
        while left:
            seen, some = self.store.repeat(partial(self._revive_some, left))
            back += [keys.text(task_id) for task_id in some]
            left = left[seen:]
        return back

    def _revive_some(self, ids: Sequence[str]) -> list[Any]:
        n = self.name
        every_key = [
            *(keys.tasks(n), keys.attempts(n), keys.ready(n), keys.ready_async(n), keys.seq(n), keys.dead(n)),
            *(keys.dead_tasks(n), *self.bells, keys.dead_bytes(n), keys.large(n), *(keys.result(n, task_id) for task_id in ids)),
        ]
        return list(self.store.run(scripts.REVIVE, every_key, list(ids), doing="retrying the dead"))

    def discard(self, ids: Sequence[str]) -> int:
        """Throw dead tasks away; return how many were there."""
        n = self.name
        every_key = [keys.dead(n), keys.dead_tasks(n), keys.dead_bytes(n)]
        return int(self.store.repeat(lambda: self.store.run(scripts.DISCARD, every_key, list(ids), doing="discarding the dead")))

    # --- the queue -----------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return how many tasks are unfinished, ready, of these suspects, scheduled, parked, dead; ends what has expired."""
        n = self.name
        if self.store.repeat(lambda: self.store.command(keys.expiring(n), "ZCARD", keys.expiring(n))):
            self._expire_if_allowed()

        def count(command: str, key: str) -> int:
            return int(self.store.command(key, command, key))

        def read() -> dict[str, int]:
            needs = self.store.command(keys.needs(n), "SMEMBERS", keys.needs(n))
            return {
                "unfinished": count("HLEN", keys.tasks(n)),
                "ready": sum(count("ZCARD", key) for key in self.ready),
                "suspects": count("ZCARD", keys.suspects(n)),
                "scheduled": count("ZCARD", keys.scheduled(n)),
                "parked": sum(count("ZCARD", keys.parked(n, keys.text(need))) for need in needs),
                "dead": count("ZCARD", keys.dead(n)),
            }

        return self.store.repeat(read)

    def _expire_if_allowed(self) -> None:
        try:
            self.expire_all()
        except HotQueueError as error:  # whoever may only look, as hotwatch may, counts what is there
            if getattr(error, "retry", False):
                raise

    def workers(self) -> list[dict[str, str]]:
        """Return what the live workers announced."""
        n = self.name

        def read() -> list[dict[str, str]]:
            found = []
            for worker in self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1):
                told = self.store.command(keys.workers(n), "HGETALL", keys.worker(n, keys.text(worker)))
                if not told:
                    continue  # it left just now
                pairs = zip(told[::2], told[1::2], strict=True)
                found.append({"worker": keys.text(worker), **{keys.text(k): keys.text(v) for k, v in pairs}})
            return found

        return self.store.repeat(read)

    def held(self, worker: str) -> list[str]:
        """Return the ids of what a worker has in hand."""
        key = keys.held(self.name, worker)
        return [keys.text(task_id) for task_id in self.store.repeat(lambda: self.store.command(key, "HKEYS", key))]

    def is_paused(self) -> bool:
        """Tell whether workers fetch nothing from this queue."""
        key = keys.paused(self.name)
        return bool(self.store.repeat(lambda: self.store.command(key, "EXISTS", key)))

    def pause(self) -> None:
        """Have workers fetch nothing from this queue."""
        key = keys.paused(self.name)
        self.store.repeat(lambda: self.store.command(key, "SET", key, "1"))

    def resume(self) -> None:
        """Have workers fetch again."""
        key = keys.paused(self.name)
        self.store.repeat(lambda: self.store.command(key, "DEL", key))
        for kind in "sa":
            self.store.repeat(lambda kind=kind: self.ring(kind))  # type: ignore[misc]

    def needs(self) -> list[str]:
        """Return what parked tasks wait for."""
        key = keys.needs(self.name)
        return [keys.text(need) for need in self.store.command(key, "SMEMBERS", key)]

    # --- maintenance ---------------------------------------------------------------------------------------------

    def sweep(self, lease_ms: int, own: Sequence[str]) -> Survey:
        """Renew the leases of `own` workers and survey the queue; a lease of 0 ms changes nothing."""
        return self.survey(self.store.run(scripts.SWEEP, *self.sweep_call(lease_ms, own), doing="renewing leases"))

    def sweep_call(self, lease_ms: int, own: Sequence[str]) -> tuple[list[str], list[Any]]:
        """Return the keys and arguments of `sweep`."""
        n = self.name
        every_key = [
            *(keys.workers(n), keys.scheduled(n), keys.control(n), keys.tasks(n), *self.ready, *self.bells, keys.paused(n)),
            keys.expiring(n),
        ]
        return every_key, [lease_ms, *own]

    def survey(self, reply: list[Any]) -> Survey:
        """Return what a reply of `sweep` says."""
        now, due, gone, others, control, unfinished, suspects, lapsed = reply
        now = int(now)
        left = [(keys.text(w), instant(at) - now) for w, at in zip(others[::2], others[1::2], strict=True)]
        stops = {keys.text(task_id): blob for task_id, blob in zip(control[::2], control[1::2], strict=True)}
        return Survey(now, int(due), [keys.text(w) for w in gone], left, stops, unfinished, suspects, bool(lapsed))

    def promote(self) -> int:
        """Move due tasks to ready; return ms until the next one, -1 when there is none."""
        while True:
            _, due = self.store.run(scripts.PROMOTE, *self.promote_call(), doing="promoting due tasks")
            if due:
                return int(due)

    def promote_call(self) -> tuple[list[str], list[Any]]:
        """Return the keys and arguments of `promote`."""
        n = self.name
        every_key = [keys.tasks(n), keys.scheduled(n), keys.ready(n), keys.ready_async(n), keys.seq(n), *self.bells]
        return every_key, []

    def where_is(self, worker: str) -> tuple[str, str]:
        """Return the folder of a worker's presence file, and its supervisor; "" for what it did not announce."""
        key = keys.worker(self.name, worker)
        folder, supervisor = self.store.command(key, "HMGET", key, "folder", "supervisor")
        return (folder or b"").decode(errors="replace"), (supervisor or b"").decode(errors="replace")

    def claim(self, supervisor: str, lease_ms: int) -> tuple[int, int]:
        """Claim suspects for a quarantine process that a supervisor is about to start, or renew that; see `claim.lua`.

        Returns:
            How many may run side by side in it, and how many of them wait; noughts when no process is needed.
        """
        width, size = self._claim(supervisor, lease_ms, "0")
        return width, size

    def release(self, supervisor: str) -> None:
        """Give a claim up: its process has what it came for, or is not to come."""
        self._claim(supervisor, 0, "1")

    def _claim(self, supervisor: str, lease_ms: int, gives_up: str) -> list[int]:
        n = self.name
        every_key = [keys.suspects(n), keys.attempts(n), keys.claims(n), keys.paused(n)]
        args = [supervisor, lease_ms, gives_up]
        return list(self.store.run(scripts.CLAIM, every_key, args, doing="claiming suspects"))

    def reap(
        self,
        worker: str,
        *,
        known_dead: bool,
        cause: str = "",
        charged: Sequence[str] | None = (),
        verdict: str = KILLED,
        ran: int = 1,
        last: Collection[str] = (),
    ) -> list[str] | None:
        """Put back what a worker holds, and strike it off.

        Args:
            known_dead: False reaps only if its lease has run out.
            cause: a line of JSON for the charged tasks' history.
            charged: ids to charge with that; None charges all.
            verdict: what it means for them: KILLED, LOST, TIME_LIMIT or REVOKED of attempts.py.
            ran: how many tasks ran side by side in its process.
            last: those that are not to run again.

        Returns:
            The charged ids; None when the worker still has its lease.
        """
        every_key, args = self.reap_call(
            worker, known_dead=known_dead, cause=cause, charged=charged, verdict=verdict, ran=ran, last=last
        )
        found: list[str] = []
        while True:
            answer = self.store.run(scripts.REAP, every_key, args, doing="reaping a worker")
            if answer[0] == -1:
                return None
            found += [keys.text(task_id) for task_id in answer[2]]
            if answer[1] == 0:
                return found

    def reap_call(
        self,
        worker: str,
        *,
        known_dead: bool,
        cause: str = "",
        charged: Sequence[str] | None = (),
        verdict: str = KILLED,
        ran: int = 1,
        last: Collection[str] = (),
    ) -> tuple[list[str], list[Any]]:
        """Return the keys and arguments of one call of `reap`."""
        n = self.name
        every_key = [
            *(keys.attempts(n), *self.ready, keys.held(n, worker), keys.workers(n), keys.worker(n, worker)),
            *(*self.bells, keys.stats(n)),
        ]
        mode = "dead" if known_dead else "lease"
        args: list[Any] = [worker, mode, cause, verdict, ran, "*" if charged is None else ""]
        for task_id in charged or ():
            args += (task_id, int(task_id in last))
        return every_key, args

    def audit(self) -> int:
        """Find tasks that stand nowhere, which only a hand at our keys can bring about, and restore them; return how many.

        What a worker without a lease holds goes back first: where it was, and fenced, should that worker live after all.
        """
        unfinished = self.store.command(keys.tasks(self.name), "HLEN", keys.tasks(self.name))
        if not unfinished or self._audit_once(())[0] <= 0:  # an idle queue costs one command
            return 0
        restored = sum(self._reap_strays())
        cursor: Any = b"0"
        while True:
            cursor, found = self.store.command(keys.tasks(self.name), "HSCAN", keys.tasks(self.name), cursor, "COUNT", 100)
            nowhere, some = self._audit_once(found[::2][:BULK])
            restored += len(some)
            if nowhere <= 0 or cursor == b"0":
                return restored

    def _audit_once(self, ids: Sequence[bytes]) -> tuple[int, list[bytes]]:
        n = self.name
        workers = self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1)
        needs = self.store.command(keys.needs(n), "SMEMBERS", keys.needs(n))
        every_key = [
            *(keys.tasks(n), *self.ready, keys.scheduled(n), keys.workers(n), keys.needs(n), keys.seq(n), *self.bells),
            *(keys.held(n, keys.text(worker)) for worker in workers),
            *(keys.parked(n, keys.text(need)) for need in needs),
        ]
        args = [len(workers), len(needs), *workers, *needs, *ids]
        answer = self.store.run(scripts.AUDIT, every_key, args, doing="looking for tasks that stand nowhere")
        return int(answer[0]), list(answer[1]) if len(answer) > 1 else []

    def _reap_strays(self) -> Iterator[int]:
        """Reap the workers that hold tasks but have no lease; yield how many tasks each held."""
        n, cursor = self.name, b"0"
        prefix = keys.held(n, "")
        while True:
            match = prefix.replace("[", "?").replace("]", "?").replace("*", "?") + "*"
            cursor, found = self.store.command(keys.workers(n), "SCAN", cursor, "MATCH", match, "COUNT", 1000)
            for worker in (keys.text(key).removeprefix(prefix) for key in found):
                if self.store.command(keys.workers(n), "ZSCORE", keys.workers(n), worker) is None:
                    held = int(self.store.command(keys.workers(n), "HLEN", keys.held(n, worker)))
                    self.reap(worker, known_dead=True)
                    yield held
            if cursor == b"0":
                return

    def take_back(self, worker: str, number: int, count: int) -> int:
        """Put the last `count` unstarted tasks of a worker's fetch back; return how many that were. Safe to repeat, or late.

        Args:
            number: of the fetch.
        """
        n = self.name
        every_key = [keys.held(n, worker), *self.ready, *self.bells]
        return int(self.store.run(scripts.TAKE_BACK, every_key, [number, count], doing="taking tasks back"))

    def unpark(self, need: str, kind: str, count: int) -> int:
        """Put tasks that wait for `need` back into the queue, the first `count` of them; return how many there were.

        Whoever asks, a worker of `kind`, fetches them next. It asks for few, and often: while others that cannot run them
        are at the same queue, they fetch what lies there, and park it again.
        """
        n = self.name
        every_key = [
            *(keys.tasks(n), keys.attempts(n), *self.ready, keys.parked(n, need)),
            *(keys.needs(n), self.bells[1]),
        ]
        return int(self.store.run(scripts.UNPARK, every_key, [need, kind, count], doing="unparking"))

    def trim_stats(self, oldest_minute: int) -> None:
        """Drop counters of minutes before `oldest_minute`."""
        key = keys.stats(self.name)
        fields = self.store.command(key, "HKEYS", key)
        minutes = [(field, field.partition(b":")[0]) for field in fields]
        old = [field for field, minute in minutes if not minute.isdigit() or int(minute) < oldest_minute]
        for start in range(0, len(old), BULK):
            self.store.command(key, "HDEL", key, *old[start : start + BULK])

    def ring(self, kind: str) -> None:
        """Give a wake token back, for another worker."""
        key = self.bells[kind == "a"]
        self.store.command(key, "LPUSH", key, "1")

    def bell_line(self, block: float) -> Blocking:
        """Return a connection for blocking on this queue's bells."""
        return self.store.blocking(self.bells[0], block)

    def bell_key(self, kind: str) -> str:
        """Return the key of the bell for "s" or "a" tasks."""
        return self.bells[kind == "a"]
