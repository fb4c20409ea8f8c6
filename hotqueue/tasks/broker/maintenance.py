"""Maintenance: what keeps a queue in order: leases, due tasks, dead workers, lost and parked tasks, counters.

When it is done, and by whom, is for supervisor/ and worker/.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import BULK, StoredQueue, instant
from hotqueue.tasks.rules.history import KILLED


@dataclass(slots=True)
class Survey:
    """What a sweep finds.

    Attributes:
        now: server time in ms.
        due: ms until the next scheduled task, -1 when there is none.
        gone: own workers that were given up.
        others: (worker of somebody else, ms left of its lease or registration): those whose time has run out, and the dead.
        stops: id of a running task that is to be stopped → the record to end it with.
        unfinished: how many tasks there are.
        suspects: how many tasks wait for a quarantine process.
        has_expired: tasks wait past their expiry.
        has_let_go: owners are over, and what they owned is still to be let go of.
        has_posted: its outbox has something for other queues.
        has_receipts: something came from the outboxes of others.
        has_ends: ends of tasks are still to be followed to the steps behind them.
        has_accounts: something is told that is still to be counted.
        holding: how many own workers hold something.
        slot: ms until the next slot of a schedule, -1 when there is none.
        is_newer: the queue is of a schema that this version does not know, so that nothing but leases is for us to see to.
        asked: when the sweep was sent (monotonic).
    """

    now: int
    due: int
    gone: list[str]
    others: list[tuple[str, int]]
    stops: dict[str, bytes]
    unfinished: int
    suspects: int
    has_expired: bool
    has_let_go: bool = False
    has_posted: bool = False
    has_receipts: bool = False
    has_ends: bool = False
    has_accounts: bool = False
    holding: int = 0
    slot: int = -1
    is_newer: bool = False
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Charge:
    """What the end of a worker means for the tasks that it ran.

    Attributes:
        cause: a line of JSON for their history.
        ids: of those that are charged with it; None: all that it holds.
        verdict: KILLED, LOST, TIME_LIMIT or REVOKED of history.py.
        ran: how many tasks ran side by side in its process.
        last: those that are not to run again.
    """

    cause: str = ""
    ids: Sequence[str] | None = ()
    verdict: str = KILLED
    ran: int = 1
    last: Collection[str] = ()


LANES_AT_ONCE = 50  # lanes that are looked at with each audit, and unique keys
NO_CHARGE = Charge()
FREED_MS = 30_000  # to live, of a done set that is freed; upkeep comes by three times in so long
TRIM_PAGES = 100  # of BULK counters or so; those of a day are some fifteen pages
STAYS = 240_000  # ms for which a worker that holds nothing counts as registered, at least
STAYS_EACH = 2000  # the same for each of its queues, if that is more in all
Call = tuple[list[str], list[Any]]  # keys and arguments of a script


def stays(queues: int) -> int:
    """Return for how many ms a worker of so many queues stays registered where it holds nothing; renewed four times in that."""
    return max(STAYS, STAYS_EACH * queues)


class Maintenance(StoredQueue):
    """What supervisors and workers do to keep a queue in order."""

    # --- a supervisor's beat -------------------------------------------------------------------------------------

    def sweep(self, lease_ms: int, own: Sequence[str], dead: Sequence[str] = (), stay_ms: int = STAYS) -> Survey:
        """Renew the leases of `own` workers and survey the queue; a lease of 0 ms changes nothing.

        Args:
            dead: workers that are known to be dead; which of them are registered here is told.
            stay_ms: for how long own workers that hold nothing count as registered.
        """
        call = self.sweep_call(lease_ms, own, dead, stay_ms)
        asked = time.monotonic()
        return self.survey(self.store.run(scripts.SWEEP, *call, doing="renewing leases"), asked)

    def sweep_call(self, lease_ms: int, own: Sequence[str], dead: Sequence[str] = (), stay_ms: int = STAYS) -> Call:
        """Return the keys and arguments of `sweep`."""
        return self.script_keys.sweep(own), [lease_ms, stay_ms, len(own), *own, *dead]

    def survey(self, reply: list[Any], asked: float) -> Survey:
        """Return what a reply of `sweep` says, which was sent at `asked` (monotonic)."""
        now, due, gone, others, control, unfinished, suspects, chores, holding, slot, *newer = reply
        now = int(now)
        left = [(keys.text(w), instant(at) - now) for w, at in zip(others[::2], others[1::2], strict=True)]
        stops = {keys.text(task_id): blob for task_id, blob in zip(control[::2], control[1::2], strict=True)}
        gone = [keys.text(worker) for worker in gone]
        expired, let_go, posted, receipts, ends, accounts = (bool(chores & bit) for bit in (1, 2, 4, 8, 16, 32))
        todo = expired, let_go, posted, receipts, ends, accounts
        return Survey(now, int(due), gone, left, stops, unfinished, suspects, *todo, holding, slot, bool(newer), asked)

    def promote(self) -> int:
        """Move due tasks to ready, at most BULK; return ms until the next one, 0 when there are more, -1 when there is none.

        Who has other things to do as well asks again after these: millions may be due at once.
        """
        return int(self.store.run(scripts.PROMOTE, *self.promote_call(), doing="promoting due tasks")[1])

    def promote_call(self) -> Call:
        """Return the keys and arguments of `promote`."""
        return self.script_keys.promote(), []

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
        args = [supervisor, lease_ms, gives_up]
        return list(self.store.run(scripts.CLAIM, self.script_keys.claim(), args, doing="claiming suspects"))

    # --- dead workers --------------------------------------------------------------------------------------------

    def reap(self, worker: str, *, known_dead: bool, charge: Charge = NO_CHARGE) -> list[str] | None:
        """Put back what a worker holds, and deregister it.

        Args:
            known_dead: False reaps only if its lease has run out.
            charge: what that means for the tasks that it ran.

        Returns:
            The charged ids; None when the worker still has its lease.
        """
        every_key, args = self.reap_call(worker, known_dead=known_dead, charge=charge)
        found: list[str] = []
        while True:
            answer = self.store.run(scripts.REAP, every_key, args, doing="reaping a worker")
            if answer[0] == -1:
                return None
            found += [keys.text(task_id) for task_id in answer[2]]
            if answer[1] == 0:
                return found

    def reap_call(self, worker: str, *, known_dead: bool, charge: Charge = NO_CHARGE) -> Call:
        """Return the keys and arguments of one call of `reap`."""
        mode, everyone = "dead" if known_dead else "lease", "*" if charge.ids is None else ""
        args: list[Any] = [worker, mode, charge.cause, charge.verdict, charge.ran, everyone]
        for task_id in charge.ids or ():
            args += (task_id, int(task_id in charge.last))
        return self.script_keys.reap(worker), args

    def mend_lanes(self, most: int = LANES_AT_ONCE) -> int:
        """Put some lanes in order, whatever was done to their keys, with each call others; return how many there are."""
        every_key = self.script_keys.mend_lanes()
        return int(self.store.run(scripts.MEND_LANES, every_key, [most], doing="putting lanes in order"))

    def mend_unique(self, most: int = LANES_AT_ONCE) -> None:
        """Put some keys of unique tasks in order, whatever was done to them, with each call others."""
        self.store.run(scripts.MEND_UNIQUE, self.script_keys.mend_unique(), [most], doing="putting unique keys in order")

    # --- what workers cannot run ---------------------------------------------------------------------------------

    def take_back(self, worker: str, number: int, count: int) -> int:
        """Put the last `count` unstarted tasks of a worker's fetch back; return how many that were. Safe to repeat, or late.

        Args:
            number: of the fetch.
        """
        every_key = self.script_keys.take_back(worker)
        return int(self.store.run(scripts.TAKE_BACK, every_key, [number, count], doing="taking tasks back"))

    def free_done(self) -> None:
        """Free what remembers ended tasks, by the million perhaps, and is about to expire; 89 seconds are left to it at least."""
        self.store.run(scripts.FREE_DONE, self.script_keys.free_done(), [FREED_MS], doing="freeing ids of ended tasks")

    def trim_stats(self, oldest_minute: int) -> None:
        """Drop counters of minutes before `oldest_minute`; after years without a worker, as many as some calls find."""
        key, cursor = keys.stats(self.name), b"0"
        for _ in range(TRIM_PAGES):
            cursor, found = self.store.command(key, "HSCAN", key, cursor, "COUNT", BULK)
            minutes = [(field, field.partition(b":")[0]) for field in found[::2]]
            old = [field for field, minute in minutes if not minute.isdigit() or int(minute) < oldest_minute]
            if old:
                self.store.command(key, "HDEL", key, *old)
            if cursor == b"0":
                return
