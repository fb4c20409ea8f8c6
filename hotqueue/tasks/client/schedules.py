"""Schedules: those of a queue, as programs declare, make and list them. Imported when the first of them is asked for.

What a registry knows of them is what was declared; the rest is in the store: schedule.py. What they say: scheduled_call.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hotqueue.errors import ConfigError
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client import by_name, schedule, stored_schedule
from hotqueue.tasks.client.definition import Definition, definition_of
from hotqueue.tasks.client.registry import Registry, is_task_name
from hotqueue.tasks.client.schedule import Schedule
from hotqueue.tasks.client.scheduled_call import OWN, ScheduledCall, check_options, timetable_of
from hotqueue.tasks.client.task import Task
from hotqueue.tasks.rules import options
from hotqueue.tasks.wire import schedule_row
from hotqueue.tasks.wire.schedule_row import ScheduleRow


class Schedules:
    """The schedules of a queue."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def periodic(self, when: Any, given: Mapping[str, Any]) -> Callable[[Any], Task[..., Any]]:
        """Return a decorator that makes a task of a function, unless it is one, and declares a schedule of it."""
        where = "@queue.periodic"
        check_options(given, where, is_call=False)
        timetable = timetable_of(when, given, where)
        own = {name: value for name, value in given.items() if name in OWN}
        wanted = {name: value for name, value in given.items() if name not in OWN}

        def decorate(function: Any) -> Task[..., Any]:
            if isinstance(function, Task) and wanted:
                raise TypeError(
                    f"{where} got {', '.join(sorted(wanted))} for what is a task already; say that where it is made one"
                )
            task: Task[..., Any] = function if isinstance(function, Task) else self._registry.task(None, wanted)(function)
            definition = definition_of(task)
            self._check_place(definition, where)
            self.declare(ScheduledCall(task.name if own.get("name") is None else own["name"], definition, timetable, own, where))
            return task

        return decorate

    def declare(self, call: ScheduledCall) -> None:
        """Declare a schedule; one that is there already has to say the same, unless its function was defined anew.

        Raises:
            ConfigError: there is another one of this name.
        """
        old = self._registry.schedules.get(call.name)
        if old is not None and not old.is_as(call):
            one, other = old.definition, call.definition
            if one.name != other.name or one.function is other.function:
                where, times = self._registry.name, (old.timetable.words, call.timetable.words)
                raise ConfigError(
                    f"queue {where!r} has two schedules called {call.name!r}, of {one.name} ({times[0]}) and of {other.name} "
                    f"({times[1]}); give one of them another name="
                )
        self._registry.schedules[call.name] = call

    def declared(self) -> tuple[str, dict[str, tuple[bytes, str, str]]]:
        """Return the schedules that are declared here, as a supervisor declares them to the store: see `Declared`."""
        signer = None if self._registry.signer is None else self._registry.signer.for_schedules(self._registry.name)
        rows = {}
        for name, call in sorted(self._registry.schedules.items()):
            row = call.row()
            data = row.encode(signer)
            rows[name] = data, schedule_row.digest_of(data), row.table  # signed with another key, it is another one
        return (schedule_row.version_of(rows) if rows else ""), rows

    def make(self, name: str, when: Any, task: Any, given: Mapping[str, Any]) -> Schedule:
        """Store a schedule until it is removed."""
        where = "queue.schedule()"
        check_options(given, where, is_call=True)
        if "name" in given:
            raise TypeError(f"{where} got its name twice: {name!r:.80} and name={given['name']!r:.80}")
        timetable = timetable_of(when, given, where)
        definition = self._scheduled(task, given)
        self._check_place(definition, where)
        return schedule.create(self._registry, ScheduledCall(name, definition, timetable, given, where), self._call_of)

    def listed(self) -> list[Schedule]:
        """Return the schedules of this queue."""
        return schedule.listed(self._registry, self._registry.schedules, self._call_of)

    def _call_of(self, name: str, row: ScheduleRow, given: Mapping[str, Any]) -> ScheduledCall:
        """Return the call of a schedule that is stored, with what is given anew; what is to be called has to be known here."""
        function = None if "task" in given or row.task in self._registry.tasks else stored_schedule.function_of(row)
        if function is not None:
            kinds = options.TaskOptions(bind=function.bind, autoretry_for=function.autoretry_for)
            definition = Definition(function.function, self._registry, row.task, kinds, by_value=True)
        else:
            definition = self._scheduled(given.get("task", row.task), {**row.options, **given})
        kept = stored_schedule.arguments_of(row, given)
        return ScheduledCall(name, definition, row.plan.timetable, kept, "Schedule.update()")

    def _scheduled(self, task: Any, given: Mapping[str, Any]) -> Definition:
        """Return the definition of what a schedule calls; a task that this program does not have goes by its name."""
        if isinstance(task, str):
            known = self._registry.definitions.get(task)
            if not is_task_name(task):
                raise TypeError(
                    f"queue.schedule() takes a task, its name, such as 'shop.tasks.price', or a function, not {task!r:.80}"
                )
            if known is None and testing_mode.sandbox is not None:
                self._registry.find(task)
            return known or by_name.definition(self._registry, task, [name for name in given if name not in OWN])
        found = self._registry.anonymous(task, "queue.schedule() takes a task, its name, or a function")
        if not isinstance(found, Task):
            raise TypeError(f"queue.schedule() takes a task, its name, or a function, not {task!r:.80}")
        return definition_of(found)

    def _check_place(self, definition: Definition, where: str) -> None:
        """Raise ConfigError for a task that lives at another server."""
        if definition.client.store.address != self._registry.store.address:
            raise ConfigError(
                f"{where}: task {definition.name} belongs to a queue at {definition.client.store}, not {self._registry.store}"
            )
