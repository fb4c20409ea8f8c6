"""StoredSchedule: a schedule as it was read of the store, and changing it there, whoever else changes it just now.

Behind Schedule, which is what users see of it. Unpickles arguments only where they are to be kept while others are changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hotqueue.errors import ConfigError
from hotqueue.tasks.broker.scheduling import Change
from hotqueue.tasks.client.scheduled_call import ScheduledCall
from hotqueue.tasks.rules.firing import Plan, State
from hotqueue.tasks.wire import envelope, payload, schedule_row
from hotqueue.tasks.wire.call import Portable, loads_portable, split_by_value
from hotqueue.tasks.wire.schedule_row import ScheduleRow

if TYPE_CHECKING:
    from hotqueue.signing import Signer
    from hotqueue.tasks.client.client import Client

TRIES = 20  # changes that others may be quicker with
Made = tuple[State | None, ScheduleRow | None]  # the new state, None: it is removed; the new row, None: it stays as it is
CallOf = Callable[[str, ScheduleRow, Mapping[str, Any]], ScheduledCall]  # made of a name, what is stored, and what is given anew


@dataclass
class StoredSchedule:
    """A schedule as it was read.

    Attributes:
        client: of the queue where it is.
        state: None: no worker has declared it yet.
        call: where it was made in this process, with the function itself.
        call_of: makes one anew of what is stored.
        is_stored: False of one that is declared here, and by no worker so far.
    """

    client: Client
    row: ScheduleRow
    state: State | None
    declared_by: list[str]
    call: ScheduledCall | None
    call_of: CallOf
    is_stored: bool = True

    @property
    def plan(self) -> Plan:
        """What decides about its slots."""
        return self.row.plan

    @property
    def signer(self) -> Signer | None:
        """Of the schedules of its queue."""
        return None if self.client.signer is None else self.client.signer.for_schedules(self.client.name)

    def read(self) -> ScheduleRow | None:
        """Return it as it is stored now; None of one that is declared here, and by no worker so far.

        Raises:
            ConfigError: it was removed.
        """
        for name, data, _ in self.client.broker.schedules([self.row.name]):
            return schedule_row.decode(data, name, self.signer)
        if self.is_stored:
            raise ConfigError(self._why_not())
        return None

    def change(self, make: Callable[[State | None, int], Made]) -> None:
        """Change what is stored.

        Args:
            make: given the state, None where it is not there, and the server's time, returns what there is to be. It may be asked
                several times. The row that it reads is that of the state: both are changed together.
        """
        broker, repeat, name = self.client.broker, self.client.store.repeat, self.row.name
        for _ in range(TRIES):
            [text] = repeat(lambda: broker.schedule_states([name]))
            after, row = make(State.read(text) if text else None, repeat(broker.next_slot)[0])
            data = b"" if row is None else row.encode(self.signer)
            due = "" if after is None else after.due((row or self.row).plan)
            change = Change(name, text, "" if after is None else after.text, data, due)
            # Where the answer to it was lost, a change has been done though it is not done now.
            if repeat(partial(broker.set_schedules, [change]))[0] or repeat(lambda: broker.schedule_states([name])) == [
                change.after
            ]:
                self.state, self.row = after, row or self.row
                return
        raise ConfigError(f"schedule {name!r:.200} of queue {self.client.name!r} is changed by others all the time; try again")

    def change_known(self, make: Callable[[State, int], Made]) -> None:
        """As `change`; ConfigError where it is not stored."""

        def change(state: State | None, now: int) -> Made:
            if state is None:
                raise ConfigError(self._why_not())
            return make(state, now)

        self.change(change)

    def read_again(self) -> ScheduleRow:
        """Read its row again, which others may have changed, and return it; ConfigError where it is not stored."""
        self.row = self.read() or self.row
        return self.row

    def _why_not(self) -> str:
        why = "it was removed" if self.is_stored else "no worker has declared it yet"
        return f"there is no schedule {self.row.name!r:.200} in queue {self.client.name!r}: {why}"


def live_by_version(declarers: Mapping[str, int], now: int) -> dict[str, list[str]]:
    """Return who lives and declares each version, as ``host:pid``."""
    live: dict[str, list[str]] = {}
    for who, until in declarers.items():
        version, _, rest = who.partition(" ")
        if until >= now:
            live.setdefault(version, []).append(([*rest.split(" "), "", ""])[1])
    return {version: sorted(names) for version, names in live.items()}


def arguments_of(row: ScheduleRow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a schedule's call is made of, with what is given anew over it; unpickles its arguments if they stay."""
    kept: dict[str, Any] = {"misfire": row.misfire, "overlap": row.overlap, "jitter": row.jitter, **row.options}
    if "args" not in given or "kwargs" not in given:
        kept["args"], kept["kwargs"] = payload.loads(_split(row)[1])
    return {**kept, **{name: value for name, value in given.items() if name != "task"}}


def function_of(row: ScheduleRow) -> Portable | None:
    """Return the function that a schedule brings along; None where its task is known by name."""
    function = _split(row)[0]
    return loads_portable(function) if function else None


def _split(row: ScheduleRow) -> tuple[bytes, bytes]:
    found = envelope.decode(row.envelope)
    return split_by_value(found.payload) if found.by_value else (b"", found.payload)
