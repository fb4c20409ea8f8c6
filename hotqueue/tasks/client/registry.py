"""Registry: the tasks of a queue by name; the decorator that makes them, and `submit`, which needs no task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hotqueue.errors import ConfigError, TaskNotRegistered
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client import by_name, name_clashes, schedule, stored_schedule
from hotqueue.tasks.client.calls import ReadyToSend, ready_to_send
from hotqueue.tasks.client.client import Client, Owner, client_of
from hotqueue.tasks.client.definition import Definition, definition_of
from hotqueue.tasks.client.method import TaskMethod, unbound
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.schedule import Schedule
from hotqueue.tasks.client.scheduled_call import OWN, ScheduledCall, check_options, timetable_of
from hotqueue.tasks.client.task import AsyncTask, Task
from hotqueue.tasks.rules import options
from hotqueue.tasks.rules.callables import is_async
from hotqueue.tasks.wire import functions, main_module, schedule_row
from hotqueue.tasks.wire.schedule_row import ScheduleRow


class Registry(Client):
    """A client that knows the tasks of its queue; made when a HotQueue is first asked for it."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.definitions: dict[str, Definition] = {}  # of these tasks
        self.clashes: list[str] = []  # what was defined under a name that another function had
        self.schedules: dict[str, ScheduledCall] = {}  # that are declared here, by name

    # --- defining -------------------------------------------------------------------------------------------------

    def task(self, function: Callable[..., Any] | None, given: Mapping[str, Any]) -> Any:
        """Return the task made of `function`, or a decorator."""
        wanted = dict(given)
        name = wanted.pop("name", None)
        if name is not None and not is_task_name(name):
            raise TypeError(f"@queue.task name= takes a str without spaces, not {name!r:.80}")
        made = options.make(wanted, "@queue.task")

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            function, bound_to = unbound(function)
            main_module.adopt(function)
            kind = AsyncTask if callable(function) and is_async(function) else Task
            return self.add(kind(Definition(function, self, name, made, bound_to)))

        return decorate if function is None else decorate(function)

    def add(self, task: Task[..., Any]) -> Task[..., Any]:
        """Register a task; one defined again takes the old one's place, with a warning if it is another function."""
        old = self.tasks.get(task.name)
        if old is not None and not functions.is_nameless(task.name, task.__wrapped__):
            clash = name_clashes.clash(task.name, self.name, old.__wrapped__, task.__wrapped__)
            if clash:
                self.clashes.append(clash)
                name_clashes.warn(clash)
        self.tasks[task.name], self.definitions[task.name] = task, definition_of(task)
        return task

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult[Any]:
        """Send a call of any callable, by value where no worker can import it."""
        return self._anonymous(function, "queue.submit() takes a callable and its arguments").delay(*args, **kwargs)

    def call_by_name(
        self, name: str, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> ReadyToSend:
        """Return a call of the task called `name`, which this program may have no code of, ready to be sent.

        Raises:
            TaskNotRegistered: inside `queue.testing()`, where it would have to run here.
        """
        if not is_task_name(name):
            hint = "; a task that is at hand has delay() and apply_async()" if isinstance(name, Task | TaskMethod) else ""
            raise TypeError(f"queue.send() takes a task's name, such as 'shop.tasks.price', not {name!r:.80}{hint}")
        known = self.definitions.get(name)
        if known is None and testing_mode.sandbox is not None:
            self.find(name)
        definition = known or by_name.definition(self, name, options)
        return ready_to_send(definition, f"queue.send({name!r})", args, kwargs, **options)

    def _anonymous(self, function: Callable[..., Any], what: str) -> Task[..., Any] | TaskMethod[..., Any]:
        if isinstance(function, Task | TaskMethod):
            return function
        if not callable(function):
            raise TypeError(f"{what}, not {function!r}")
        return Task(
            Definition(function, self, None, options.TaskOptions(), by_value=True)
        )  # a worker looks up tasks only, never functions

    # --- schedules -----------------------------------------------------------------------------------------------

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
            task: Task[..., Any] = function if isinstance(function, Task) else self.task(None, wanted)(function)
            definition = definition_of(task)
            self._check_place(definition, where)
            self.declare(ScheduledCall(own.get("name") or task.name, definition, timetable, own, where))
            return task

        return decorate

    def declare(self, call: ScheduledCall) -> None:
        """Declare a schedule; one that is there already has to say the same, unless its function was defined anew.

        Raises:
            ConfigError: there is another one of this name.
        """
        old = self.schedules.get(call.name)
        if old is not None and not old.is_as(call):
            one, other = old.definition, call.definition
            if one.name != other.name or one.function is other.function:
                raise ConfigError(
                    f"queue {self.name!r} has two schedules called {call.name!r}, of {one.name} ({old.timetable.words}) and of "
                    f"{other.name} ({call.timetable.words}); give one of them another name="
                )
        self.schedules[call.name] = call

    def declared(self) -> tuple[str, dict[str, tuple[bytes, str, str]]]:
        """Return the schedules that are declared here, as a supervisor declares them to the store: see `Declared`."""
        signer = None if self.signer is None else self.signer.for_schedules(self.name)
        rows = {}
        for name, call in sorted(self.schedules.items()):
            row = call.row()
            data = row.encode(signer)
            rows[name] = data, schedule_row.digest_of(data), row.table  # signed with another key, it is another one
        return (schedule_row.version_of(rows) if rows else ""), rows

    def schedule(self, name: str, when: Any, task: Any, given: Mapping[str, Any]) -> Schedule:
        """Store a schedule until it is removed."""
        where = "queue.schedule()"
        check_options(given, where, is_call=True)
        if "name" in given:
            raise TypeError(f"{where} got its name twice: {name!r:.80} and name={given['name']!r:.80}")
        timetable = timetable_of(when, given, where)
        definition = self._scheduled(task, given)
        self._check_place(definition, where)
        return schedule.create(self, ScheduledCall(name, definition, timetable, given, where), self._call_of)

    def all_schedules(self) -> list[Schedule]:
        """Return the schedules of this queue."""
        return schedule.listed(self, self.schedules, self._call_of)

    def _call_of(self, name: str, row: ScheduleRow, given: Mapping[str, Any]) -> ScheduledCall:
        """Return the call of a schedule that is stored, with what is given anew; what is to be called has to be known here."""
        function = None if "task" in given or row.task in self.tasks else stored_schedule.function_of(row)
        if function is not None:
            kinds = options.TaskOptions(bind=function.bind, autoretry_for=function.autoretry_for)
            definition = Definition(function.function, self, row.task, kinds, by_value=True)
        else:
            definition = self._scheduled(given.get("task", row.task), {**row.options, **given})
        kept = stored_schedule.arguments_of(row, given)
        return ScheduledCall(name, definition, row.plan.timetable, kept, "Schedule.update()")

    def _scheduled(self, task: Any, given: Mapping[str, Any]) -> Definition:
        """Return the definition of what a schedule calls; a task that this program does not have goes by its name."""
        if isinstance(task, str):
            known = self.definitions.get(task)
            if not is_task_name(task):
                raise TypeError(
                    f"queue.schedule() takes a task, its name, such as 'shop.tasks.price', or a function, not {task!r:.80}"
                )
            if known is None and testing_mode.sandbox is not None:
                self.find(task)
            return known or by_name.definition(self, task, [name for name in given if name not in OWN])
        found = self._anonymous(task, "queue.schedule() takes a task, its name, or a function")
        if not isinstance(found, Task):
            raise TypeError(f"queue.schedule() takes a task, its name, or a function, not {task!r:.80}")
        return definition_of(found)

    def _check_place(self, definition: Definition, where: str) -> None:
        """Raise ConfigError for a task that lives at another server."""
        if definition.client.store.address != self.store.address:
            raise ConfigError(
                f"{where}: task {definition.name} belongs to a queue at {definition.client.store}, not {self.store}"
            )

    def find(self, name: str) -> Task[..., Any]:
        """Return the task called `name`.

        Raises:
            TaskNotRegistered: names the known ones.
        """
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise TaskNotRegistered(f"no task {name!r} on queue {self.name!r}; known are: {known}")
        return self.tasks[name]


def is_task_name(name: object) -> bool:
    """Tell whether a task can be called that."""
    if not isinstance(name, str) or not name or any(c.isspace() for c in name):
        return False
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)


def registry_of(owner: Owner) -> Registry:
    """Return the tasks of a queue."""
    found = client_of(owner)
    assert isinstance(found, Registry)
    return found
