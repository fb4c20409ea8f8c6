"""ScheduledCall: a call of a task with its timetable, as `@queue.periodic` declares it and `queue.schedule()` makes it.

Checks all of it where it is made. What is stored of it: wire/schedule_row.py; what users see of what is stored: schedule.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.hints import did_you_mean
from hotqueue.keys import raw
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client.arguments import check_fit, checked_args, checked_kwargs
from hotqueue.tasks.client.definition import Definition
from hotqueue.tasks.client.per_call import expiry_of
from hotqueue.tasks.rules.firing import MISFIRE, OVERLAP
from hotqueue.tasks.rules.options import NAMES, PER_CALL, check_names, override, seconds
from hotqueue.tasks.rules.periodic import Timetable
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.schedule_row import ScheduleRow

NAME_MAX = 120  # bytes: ids of tasks have it in them
OWN = frozenset({"name", "tz", "args", "kwargs", "misfire", "overlap", "jitter", "until"})


class ScheduledCall:
    """A call with its timetable.

    Attributes:
        name: of the schedule.
        definition: of the task.
        timetable: when.
        queue: where the call goes.
    """

    def __init__(self, name: str, definition: Definition, timetable: Timetable, given: Mapping[str, Any], where: str) -> None:
        self.name = checked_name(name, where)
        self.definition = definition
        if definition.after:
            raise ConfigError(
                f"{where}: task {definition.name} waits for results of others (depends_on=), which the calls of a schedule "
                "cannot; schedule a task that sends it"
            )
        self.timetable = timetable
        own = definition.options
        is_secret = bool(own.sensitive or given.get("sensitive"))
        self.args = checked_args(given.get("args", ()), where, is_secret)
        self.kwargs = checked_kwargs(given.get("kwargs"), where, is_secret)
        self.misfire = one_of(given.get("misfire", "once"), MISFIRE, f"{where} misfire=")
        self.overlap = one_of(given.get("overlap", "allow"), OVERLAP, f"{where} overlap=")
        self.jitter = seconds(given.get("jitter", 0), f"{where} jitter=")
        self.given = {name: value for name, value in given.items() if name not in OWN}
        self.options = override(own, self.given, where) if self.given else own
        if self.options is not own:
            definition.check(self.options, where)
        self.queue = self.options.queue or definition.client.name
        self.expires = "" if self.options.expires is None else expiry_of(self.options.expires, where)
        check_fit(definition.name, definition.function, definition.signature, self.args, self.kwargs)

    def envelope(self, task_id: str) -> bytes:
        """Return the envelope of a call; SerializationError names the argument that cannot travel."""
        return self.definition.encode(task_id, self.args, self.kwargs, self.options, self.queue)

    def row(self) -> ScheduleRow:
        """Return what is stored of it; as `envelope`."""
        data = envelope.restamped(self.envelope(f"periodic:{self.name}"))
        if testing_mode.sandbox is not None:
            testing_mode.sandbox.originals.pop(f"periodic:{self.name}", None)
        return ScheduleRow(
            *(self.name, self.timetable.text, self.definition.name, self.queue, self.misfire, self.overlap, self.jitter),
            *(self.expires, storable(self.given), data),
        )

    def is_as(self, other: ScheduledCall) -> bool:
        """Tell whether another one says the same."""
        return self._facts() == other._facts()

    def _facts(self) -> tuple[Any, ...]:
        what = (self.definition.name, self.timetable, self.args, self.kwargs, self.misfire, self.overlap, self.jitter)
        return (*what, self.options, self.queue)


def timetable_of(when: Any, given: Mapping[str, Any], where: str) -> Timetable:
    """Return the timetable of a schedule; TypeError or ValueError, with the value."""
    try:
        return Timetable.of(when, given.get("tz", "UTC"), given.get("until"))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from None


def check_options(given: Mapping[str, Any], where: str, is_call: bool) -> None:
    """Raise TypeError for an option that schedules do not have, naming the nearest that they have."""
    check_names(given, (PER_CALL if is_call else NAMES) | OWN, where)


def checked_name(name: object, where: str) -> str:
    """Return a schedule's name; the ids of what it fires have it in them."""
    if not isinstance(name, str):
        raise TypeError(f"{where} takes a str as a schedule's name, not {name!r:.80}")
    try:
        is_good = 0 < len(raw(name)) <= NAME_MAX and name.isprintable()
    except UnicodeEncodeError:
        is_good = False
    if not is_good:
        raise ValueError(
            f"{where}: a schedule's name has 1 to {NAME_MAX} bytes (as UTF-8) and can be printed, unlike {name!r:.200}"
        )
    return name


def one_of(value: object, known: tuple[str, ...], what: str) -> str:
    """Return `value` when it is one of a few words."""
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{what} takes {', '.join(map(repr, known))}, not {value!r:.80}{hint}")
    return value


def storable(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a schedule that JSON can hold; instants are kept as they are where they are spent."""
    found = {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in given.items()}
    kept = {}
    for name, value in found.items():
        if isinstance(value, datetime):
            continue
        try:
            kept[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"a schedule cannot keep {name}={value!r:.80}: {error}") from None
    return kept
