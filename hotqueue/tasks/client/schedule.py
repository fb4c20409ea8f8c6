"""Schedule: one schedule of a queue, as `queue.schedule()` and `queue.schedules()` return it.

What is shown was read when it was made, or by the last of its methods; nothing is unpickled for it. Firing is for supervisor/.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotqueue.errors import ConfigError, CorruptEnvelope, SignatureError
from hotqueue.runtime import testing_mode
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.client.handle import Handle
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.scheduled_call import OWN, ScheduledCall, timetable_of
from hotqueue.tasks.client.stored_schedule import CallOf, Made, StoredSchedule, live_by_version
from hotqueue.tasks.rules import firing
from hotqueue.tasks.rules.firing import DURABLE, State
from hotqueue.tasks.rules.options import PER_CALL, check_names, datetime_of, instant_ms
from hotqueue.tasks.rules.periodic import Timetable
from hotqueue.tasks.wire import envelope, schedule_row

if TYPE_CHECKING:
    from hotqueue.tasks.client.client import Client

log = logging.getLogger("hotqueue")


class Schedule:
    """When a task is called by itself: what `queue.schedule()` makes, and `queue.schedules()` lists.

    Its attributes are as of when it was listed, or made, or one of its methods was called.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, stored: StoredSchedule) -> None:
        self._stored = stored

    def __repr__(self) -> str:
        return f"<Schedule {self.name!r} of queue {self._stored.client.name!r}: {self.task}, {self._stored.plan.timetable.words}>"

    @property
    def name(self) -> str:
        """Its name; unique in its queue."""
        return self._stored.row.name

    @property
    def when(self) -> str | float:
        """The cron string; or how many seconds there are between two slots."""
        timetable = self._stored.plan.timetable
        if timetable.kind != "every":
            return timetable.what
        ms = int(timetable.what)
        return ms / 1000 if ms % 1000 else ms // 1000

    @property
    def tz(self) -> str:
        """The zone of the cron string."""
        return self._stored.plan.timetable.tz

    @property
    def task(self) -> str:
        """The name of the task that it calls."""
        return self._stored.row.task

    @property
    def next_run(self) -> datetime | None:
        """When it fires next, in UTC; None while it is paused, over, or declared by no live worker."""
        stored = self._stored
        if stored.state is None or (stored.state.version != DURABLE and not stored.declared_by):
            return None
        due = stored.state.due(stored.plan)
        return datetime_of(int(due)) if due else None

    @property
    def last_run(self) -> datetime | None:
        """The slot that it fired last, in UTC."""
        state = self._stored.state
        return None if state is None or state.last is None else datetime_of(state.last)

    @property
    def last_result(self) -> AsyncResult[Any] | None:
        """The handle to the task that it fired last; how that ended is there as long as any result."""
        stored = self._stored
        if stored.state is None or stored.state.last is None:
            return None
        return AsyncResult(Handle(stored.plan.task_id(stored.state.last), stored.client, stored.row.queue))

    @property
    def is_paused(self) -> bool:
        """True while it does not fire, until `resume`."""
        return self._stored.state is not None and self._stored.state.is_paused

    @property
    def declared_by(self) -> list[str]:
        """The live workers that declare it in their code, as ``host:pid``; none of one that `queue.schedule()` made."""
        return list(self._stored.declared_by)

    # --- methods -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Have it fire nothing until `resume`, whatever restarts meanwhile."""
        self._stored.change_known(lambda state, _now: (replace(state, is_paused=True), None))

    def resume(self) -> None:
        """Undo `pause`; what passed meanwhile is not made up for."""
        stored = self._stored
        stored.change_known(lambda state, now: (firing.resumed(state, stored.read_again().plan, now), None))

    def trigger(self) -> AsyncResult[Any]:
        """Have its task run now, under an id of its own, also while it is paused; its slots are not touched by it.

        Raises:
            ConfigError: it was removed.
        """
        stored, client = self._stored, self._stored.client
        task_id = f"periodic:{self.name}:now:{os.urandom(8).hex()}"
        row = stored.read()
        if stored.call is not None and (row is None or testing_mode.sandbox is not None):  # with the function that is here
            data = stored.call.envelope(task_id)
        else:
            data = envelope.restamped((row or stored.row).envelope, task_id, int(time.time() * 1000), client.signer)
        queue, expires = (row or stored.row).queue, (row or stored.row).expires
        result: AsyncResult[Any] = AsyncResult(Handle(task_id, client, queue))
        client.send(queue, [Encoded(task_id, "", expires, data)])
        return result

    def update(self, **changes: Any) -> None:
        """Change what `queue.schedule()` was given; the rest stays.

        Args:
            **changes: when, tz, until (None: no end), task, args, kwargs, misfire, overlap, jitter, options of tasks.

        Raises:
            ConfigError: it is declared in code.
            TypeError, ValueError: as `queue.schedule()`.
        """
        stored = self._stored
        where = f"schedule {self.name!r:.200}.update()"
        check_names(changes, PER_CALL | OWN | {"when", "task"}, where)
        if "name" in changes:
            raise TypeError(f"{where} cannot change its name; remove it, and make another one")

        def updated(state: State, now: int) -> Made:
            if state.version != DURABLE:
                raise ConfigError(f"schedule {self.name!r:.200} is declared in code{_by(self.declared_by)}: change it there")
            old = stored.read_again()
            timetable = _changed(old.plan.timetable, changes, where)
            call = stored.call_of(self.name, old, of_call) if of_call else None
            row = replace(old if call is None else call.row(), when=timetable.text)
            return firing.defined(row.plan, row.digest, row.table, state, now), row

        of_call = {name: value for name, value in changes.items() if name not in ("when", "tz", "until")}
        stored.change_known(updated)
        stored.call = None

    def remove(self) -> None:
        """Remove it; one that is declared in code only once no live worker declares it, for it would be back at once."""
        if self.declared_by:
            raise ConfigError(
                f"schedule {self.name!r:.200} is declared in code{_by(self.declared_by)}: remove it there, or pause() it"
            )
        self._stored.change_known(lambda _state, _now: (None, None))


def _changed(old: Timetable, changes: Mapping[str, Any], where: str) -> Timetable:
    given = {"tz": changes.get("tz", old.tz)}
    zone = timetable_of("* * * * *", given, where).tz
    if "when" in changes:
        new = timetable_of(changes["when"], given, where)
    else:
        new = old if old.kind == "every" else replace(old, tz=zone)
    until = changes.get("until", old)
    if until is old:
        return replace(new, until=old.until)
    return replace(new, until=None if until is None else instant_ms(until, f"{where} until="))


def _by(declared_by: list[str]) -> str:
    return f" by {', '.join(declared_by[:3])}{' …' if len(declared_by) > 3 else ''}" if declared_by else ""


# --- of a queue ------------------------------------------------------------------------------------------------------


def create(client: Client, call: ScheduledCall, call_of: CallOf) -> Schedule:
    """Store a schedule until it is removed; one of the same name that was made so before is changed."""
    row = call.row()
    stored = StoredSchedule(client, row, None, [], call, call_of)

    def make(before: State | None, now: int) -> Made:
        if before is not None and before.version != DURABLE:
            if by := live_by_version(client.broker.declarers(), now).get(before.version, []):
                raise ConfigError(f"schedule {call.name!r:.200} is declared in code{_by(by)}; choose another name")
            before = None
        return firing.defined(row.plan, row.digest, row.table, before, now), row

    stored.change(make)
    return Schedule(stored)


def listed(client: Client, declared: Mapping[str, ScheduledCall], call_of: CallOf) -> list[Schedule]:
    """Return the schedules of a queue, those included that are declared here and by no worker so far."""
    broker = client.broker
    signer = None if client.signer is None else client.signer.for_schedules(client.name)
    live = live_by_version(broker.declarers(), client.store.repeat(broker.next_slot)[0])
    found: dict[str, Schedule] = {}
    for name, data, text in broker.schedules():
        state = State.read(text)
        try:
            row = schedule_row.decode(data, name, signer)
        except (CorruptEnvelope, SignatureError) as error:
            log.warning("queue %s: %s", client.name, error)
            continue
        if state is not None:
            found[name] = Schedule(StoredSchedule(client, row, state, live.get(state.version, []), None, call_of))
    for name, call in declared.items():
        if name not in found:
            found[name] = Schedule(StoredSchedule(client, call.row(), None, [], call, call_of, is_stored=False))
    return [found[name] for name in sorted(found)]
