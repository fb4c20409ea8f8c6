"""Pausing: a queue, or the tasks of a name, that workers are not to start for a while. Why it is so: docs/decisions/0054."""

from __future__ import annotations

import time
from functools import partial

from hotqueue import keys
from hotqueue.errors import ConfigError
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.schema import Schema
from hotqueue.tasks.broker.stored_queue import whole

QUEUE = "1"  # what is paused, as it stands in the store: the whole queue; else "task:" and a name
MOST_PAUSED = 1000  # names that are paused at a time: every fetch reads them
HANDOVER = 0.02  # seconds in which what a worker has just fetched starts
IN_HAND = 2.0  # seconds to wait for what workers fetched before; of one that stands still nobody knows
RESUMED = 300  # tasks that go back at once: some ten milliseconds
UNPARKING = 1.0  # seconds in which whoever resumes puts tasks back; of more, workers put back the rest
WORKERS_AT_ONCE = 20  # whose hands are looked into by one call


def read_paused(lines: bytes) -> dict[str, int]:
    """Return what the key says that is paused; as `Pausing.paused`."""
    parts = [line.rpartition(" ") if " " in line else (line, "", "0") for line in keys.text(lines).split("\n") if line]
    return {what: whole(since) for what, _, since in parts}


class Pausing(Schema):
    """What is paused of a queue."""

    def paused(self) -> dict[str, int]:
        """Return what is paused, "1" the queue, "task:" and a name its tasks, and since when in ms; 0 where that is not known."""
        key = keys.paused(self.name)
        return read_paused(self.store.repeat(lambda: self.store.command(key, "GET", key)) or b"")

    def is_paused(self) -> bool:
        """Tell whether workers fetch nothing from this queue."""
        return QUEUE in self.paused()

    def pause(self, task: str = "") -> None:
        """Have workers fetch nothing from this queue; with the name of a task, start none of its tasks.

        Of those that workers have in hand unstarted, it waits IN_HAND seconds at most until they have begun, or are back.
        """
        if not self._edit("pause", task):
            raise ConfigError(f"{MOST_PAUSED} names are paused at queue {self.name!r} already; pause the queue, or resume some")
        if task:
            self.wait_for_what_is_in_hand(f"task:{task}")

    def wait_for_what_is_in_hand(self, what: str) -> None:
        """Wait, IN_HAND seconds at most, until what workers have in hand of what was paused has begun, or is back.

        Args:
            what: "task:" and a name, or "k:" and a key of gates.
        """
        deadline = time.monotonic() + IN_HAND
        time.sleep(HANDOVER)
        while self._may_start(what) and time.monotonic() < deadline:
            time.sleep(HANDOVER)

    def resume(self, task: str = "") -> None:
        """Have workers fetch again; with the name of a task, start its tasks, each at its place.

        It puts those back that were set aside, for UNPARKING seconds; workers see to what is left then, or if we die.
        """
        self._edit("resume", task)
        deadline = time.monotonic() + UNPARKING
        while task and self.unpark(f"paused:{task}", "", RESUMED) and time.monotonic() < deadline:
            pass

    def unpark(self, need: str, kind: str, count: int) -> int:
        """Put tasks that wait for `need` back into the queue, the first `count` of them; return how many there were.

        Whoever asks, a worker of `kind`, fetches them next. It asks for few, and often: while others that cannot run them
        are at the same queue, they fetch what lies there, and park it again. Nothing, of what is paused.
        """
        args = [need, kind, count]
        ask = partial(self.store.run, scripts.UNPARK, self.script_keys.unpark(need), args, doing="unparking")
        return int(ask() if kind else self.store.repeat(ask))

    def _edit(self, do: str, task: str) -> bool:
        args = [do, f"task:{task}" if task else QUEUE, MOST_PAUSED]
        edit = partial(self.store.run, scripts.PAUSE, self.script_keys.pause(), args, doing=f"{do[:-1]}ing a queue")
        return bool(self.store.repeat(edit))

    def _may_start(self, what: str) -> bool:
        """Tell whether workers may have tasks in hand of what is paused that they have not started."""
        n = self.name
        found = self.store.repeat(lambda: self.store.command(keys.workers(n), "ZRANGE", keys.workers(n), 0, -1))
        workers = [keys.text(worker) for worker in found]
        for start in range(0, len(workers), WORKERS_AT_ONCE):
            every_key = self.script_keys.may_start(workers[start : start + WORKERS_AT_ONCE])
            look = partial(self.store.run, scripts.MAY_START, every_key, [what], doing="looking for what workers have in hand")
            if self.store.repeat(look):
                return True
        return False
