"""Scheduling: schedules in the store: which are due, changing them, firing them, and who declares them.

What is decided about them is in rules/firing.py, what they are in wire/schedule_row.py, who fires them in supervisor/.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import StoredQueue, instant
from hotqueue.tasks.wire import task_names

AT_ONCE = 200  # rows that are read or written in one trip


class Change(NamedTuple):
    """A change of a schedule, done only if nothing else was changed there.

    Attributes:
        before: the state that was read; "": there was none.
        after: the new state; "": it is removed.
        row: the new row; b"": it stays as it is.
        due: ms at which it is to fire; "": not.
        tasks: how many tasks of this queue it fires.
        posts: what it fires in other queues, see wire/outgoing.py.
    """

    name: str
    before: str
    after: str
    row: bytes = b""
    due: str = ""
    tasks: int = 0
    posts: str = ""

    @property
    def wire(self) -> list[Any]:
        """As scripts have it."""
        return [keys.raw(self.name), self.before, self.after, self.row, self.due, self.tasks, keys.raw(self.posts)]


class Due(NamedTuple):
    """What is due.

    Attributes:
        now: server time in ms.
        left: ms until the next slot, -1 when there is none.
        following: the same of the first one that has not come.
        live: who declares schedules, and lives: version, a blank, and more.
        rows: (name, row, state) of some of those that are due.
    """

    now: int
    left: int
    following: int
    live: list[str]
    rows: list[tuple[str, bytes, str]]


class Declaration(NamedTuple):
    """What follows from a declaration.

    Attributes:
        was_live: it counted as alive before.
        others: who else declares schedules, and lives.
        forgotten: how many were forgotten, who did so a day ago.
    """

    now: int
    was_live: bool
    others: list[str]
    forgotten: int


def version_of(who: str) -> str:
    """Return which version of its schedules somebody declares."""
    return who.partition(" ")[0]


class Scheduling(StoredQueue):
    """The schedules of a queue."""

    def due_schedules(self, most: int = AT_ONCE) -> Due:
        """Return which schedules are due, at most so many of them."""
        args = [most, random.randrange(1_000_000)]
        read = partial(self.store.run, scripts.DUE_SCHEDULES, self.script_keys.due_schedules(), args, doing="reading schedules")
        now, left, following, live, *found = read()
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        texts = [(keys.text(name), row, keys.text(state)) for name, row, state in rows]
        return Due(int(now), left, following, [keys.text(each) for each in live], texts)

    def next_slot(self) -> tuple[int, int]:
        """Return the server's time, and how many ms it is until the next slot, -1 where there is none."""
        found = self.due_schedules(0)
        return found.now, found.left

    def fire_schedules(self, changes: Sequence[Change], tasks: Sequence[Encoded]) -> list[bool]:
        """Store what schedules fire, in the order of the changes, each together with its change; tell which were done.

        Raises:
            QueueFull, ConnectionFailed, ConfigError: nothing was done, or in the second case perhaps all of it.
        """
        ids = "\n".join([task.id for task in tasks]) + "\n"
        times = "".join([f"{task.due} {task.expires}\n" for task in tasks])
        more = [word for change in changes for word in change.wire]
        envelopes = [task.envelope for task in tasks]
        args = [task_names.lines_of(envelopes), keys.raw(ids), times, *envelopes, *more]
        every_key = [*self.script_keys.enqueue(), *self.script_keys.received(self.name), *self.script_keys.schedules()]
        script = scripts.enqueueing(envelopes)
        return [bool(done) for done in self.store.run(script, every_key, args, doing="firing schedules")]

    def set_schedules(self, changes: Sequence[Change]) -> list[bool]:
        """Change schedules; what they fire goes to other queues, if to any; tell which were done."""
        done: list[bool] = []
        for start in range(0, len(changes), AT_ONCE):
            args = [word for change in changes[start : start + AT_ONCE] for word in change.wire]
            found = self.store.run(scripts.SET_SCHEDULES, self.script_keys.schedules(), args, doing="changing schedules")
            done += [bool(each) for each in found]
        return done

    def schedule_states(self, names: Sequence[str]) -> list[str]:
        """Return the states of schedules, "" of those that are not there."""
        key, found = keys.schedule_states(self.name), []
        for start in range(0, len(names), AT_ONCE):
            some = [keys.raw(name) for name in names[start : start + AT_ONCE]]
            found += self.store.command(key, "HMGET", key, *some, doing="reading schedules")
        return ["" if state is None else keys.text(state) for state in found]

    def schedules(self, names: Sequence[str] | None = None) -> list[tuple[str, bytes, str]]:
        """Return (name, row, state) of all schedules, or of some."""
        key, listed = keys.schedules(self.name), []
        if names is None:
            names = sorted(self.store.repeat(self._all_names))
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            read = partial(self.store.command, key, "HMGET", key, *map(keys.raw, some), doing="listing schedules")
            rows = self.store.repeat(read)
            states = self.store.repeat(partial(self.schedule_states, some))
            listed += [(name, bytes(row), state) for name, row, state in zip(some, rows, states, strict=True) if row and state]
        return listed

    def _all_names(self) -> list[str]:
        key = keys.schedule_states(self.name)
        return [keys.text(name) for name in self.store.command(key, "HGETALL", key, doing="listing schedules")[::2]]

    def has_schedules(self) -> bool:
        """Tell whether there are any."""
        key = keys.schedules(self.name)
        return bool(self.store.command(key, "EXISTS", key, doing="looking at schedules"))

    def schedules_and_places(self, names: Sequence[str]) -> list[tuple[str, bool]]:
        """Return the states of schedules, "" of those that are not there, and whether they stand among those that are to fire."""
        key, listed = keys.schedules_next(self.name), []
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            at = self.store.command(key, "ZMSCORE", key, *map(keys.raw, some), doing="reading schedules")
            listed += [(state, score is not None) for state, score in zip(self.schedule_states(some), at, strict=True)]
        return listed

    def places_of_schedules(self) -> list[tuple[str, str, bool]]:
        """Return (name, state, whether it stands among those that are to fire) of all schedules."""
        names = self._all_names()
        return [(name, *found) for name, found in zip(names, self.schedules_and_places(names), strict=True)]

    def are_unfinished(self, ids: Sequence[str]) -> list[bool]:
        """Tell which tasks have not ended."""
        key = keys.tasks(self.name)
        sizes = [self.store.command(key, "HEXISTS", key, keys.raw(task_id), doing="looking at tasks") for task_id in ids]
        return [bool(size) for size in sizes]

    # --- who declares them ---------------------------------------------------------------------------------------

    def declare(self, who: str, alive_ms: int) -> Declaration:
        """Say that somebody declares schedules and lives, or, for 0 ms, that it does so no more."""
        args = [keys.raw(who), alive_ms]
        now, was_live, others, forgotten = self.store.run(
            scripts.DECLARE, self.script_keys.declare(), args, doing="declaring schedules"
        )
        return Declaration(int(now), bool(was_live), [keys.text(each) for each in others], int(forgotten))

    def declarers(self) -> dict[str, int]:
        """Return who declares schedules, or did so in the last day → until when it counts as alive in ms."""
        key = keys.declarers(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "ZRANGE", key, 0, -1, "WITHSCORES"))
        return {keys.text(who): instant(at) for who, at in zip(found[::2], found[1::2], strict=True)}
