"""RevokingMany: ending all tasks that wait in a queue, or some by what they are; a portion with each call, however many wait."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue

# How a task waits, as users and as revoke_some.lua call it.
WAITING, SCHEDULED, RETRYING, PARKED = "waiting", "scheduled", "retrying", "parked"
_LETTERS = {WAITING: "w", SCHEDULED: "s", RETRYING: "r", PARKED: "p"}
STATES = tuple(_LETTERS)
FIRST = 20  # tasks that are looked at with the first call, which says how large they are


@dataclass(frozen=True, slots=True)
class Sought:
    """Which tasks are meant.

    Attributes:
        task: their name; "" any.
        schedule: the name of the schedule whose firings they are; "" any.
        headers: what their headers have, a JSON object of one member each.
        states: how they wait, of STATES.
    """

    task: str = ""
    schedule: str = ""
    headers: tuple[str, ...] = ()
    states: Collection[str] = STATES


class RevokingMany(StoredQueue):
    """What ends many tasks that wait in a queue."""

    def revoke_some(self, sought: Sought, is_to_mark: bool = False) -> int:
        """End the tasks that are meant and wait, of those that were there when it began; return how many these were.

        Args:
            is_to_mark: those that a worker has in hand do not start any more, if they have not, and are not run again.
        """
        n = self.name
        seq, at = self.store.repeat(self._moment)
        letters = "".join(_LETTERS[state] for state in sought.states)
        args = [letters, int(is_to_mark), seq, max(at, int(time.time() * 1000)), sought.task, sought.schedule, *sought.headers]
        ended = 0
        for key in [keys.tasks(n)] if is_to_mark else self._to_look_through(letters):
            every_key = self.script_keys.revoke_some(key)
            cursor, page = b"0", FIRST
            while True:
                portion = partial(
                    self.store.run, scripts.REVOKE_SOME, every_key, [self.results, cursor, page, *args], doing="revoking tasks"
                )
                cursor, count, page = self.store.repeat(portion)
                ended += count
                if cursor == b"0":
                    break
        return ended

    def _moment(self) -> tuple[int, int]:
        """Return the last number that was given, and the server's time in ms."""
        key = keys.seq(self.name)
        seq = self.store.command(key, "GET", key)
        seconds, micros = self.store.command(key, "TIME")
        return int(seq or 0), int(seconds) * 1000 + int(micros) // 1000

    def _to_look_through(self, letters: str) -> Iterator[str]:
        """Yield the keys in which tasks that wait in these ways are found."""
        n = self.name
        if not set(letters) - set("sr"):
            yield keys.scheduled(n)
        elif letters != "p":
            yield keys.tasks(n)
        else:
            needs = self.store.repeat(lambda: self.store.command(keys.needs(n), "SMEMBERS", keys.needs(n)))
            yield from (keys.parked(n, keys.text(need)) for need in needs if not need.startswith(b"paused:"))
