"""Registry: the tasks of a queue by name; the decorator that makes them, and `submit`, which needs no task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hotqueue.errors import TaskNotRegistered
from hotqueue.runtime import testing_mode
from hotqueue.tasks.client import by_name, name_clashes
from hotqueue.tasks.client.calls import ReadyToSend, ready_to_send
from hotqueue.tasks.client.client import Client, Owner, client_of
from hotqueue.tasks.client.definition import Definition, definition_of
from hotqueue.tasks.client.method import TaskMethod, signed, unbound
from hotqueue.tasks.client.per_call import said
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.task import AsyncTask, Task
from hotqueue.tasks.rules import options
from hotqueue.tasks.rules.callables import is_async
from hotqueue.tasks.wire import functions, main_module

if TYPE_CHECKING:  # few programs have schedules, or workflows
    from hotqueue.tasks.client.scheduled_call import ScheduledCall
    from hotqueue.tasks.workflow.signature import Signature

MOST_BYTES = 1000  # of a task's name


class Registry(Client):
    """A client that knows the tasks of its queue; made when a HotQueue is first asked for it."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.definitions: dict[str, Definition] = {}  # of these tasks
        self.clashes: list[str] = []  # what was defined under a name that another function had
        self.schedules: dict[str, ScheduledCall] = {}  # that are declared here, by name: see schedules.py

    # --- defining -------------------------------------------------------------------------------------------------

    def task(self, function: Callable[..., Any] | None, given: Mapping[str, Any]) -> Any:
        """Return the task made of `function`, or a decorator."""
        wanted = dict(given)
        name = wanted.pop("name", None)
        if name is not None and not is_task_name(name):
            raise TypeError(f"@queue.task name= takes a str of at most {MOST_BYTES:,} bytes without spaces, not {name!r:.80}")
        after = _checked_after(wanted.pop("depends_on", None))
        made = options.make(wanted, "@queue.task")

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            function, bound_to = unbound(function)
            main_module.adopt(function)
            kind = AsyncTask if callable(function) and is_async(function) else Task
            return self.add(kind(Definition(function, self, name, made, bound_to, after=after)))

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
        return self.anonymous(function, "queue.submit() takes a callable and its arguments").delay(*args, **kwargs)

    def call_by_name(
        self, name: str, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> ReadyToSend:
        """Return a call of the task called `name`, which this program may have no code of, ready to be sent.

        Raises:
            TaskNotRegistered: inside `queue.testing()`, where it would have to run here.
        """
        return ready_to_send(self._named(name, options), f"queue.send({name!r})", args, kwargs, **options)

    def linked_by_name(self, name: str, options: Mapping[str, Any]) -> Signature[Any] | None:
        """Return the signature of a call by name that others follow, or come before; None for all other calls."""
        known = self.tasks.get(name) if isinstance(name, str) else None
        is_behind = known is not None and bool(definition_of(known).after)
        if not is_behind and all(options.get(each) is None for each in ("link", "link_error", "depends_on")):
            return None
        return signed(known or Task(self._named(name, options)), (), (), {}).set(**said(options))

    def _named(self, name: str, options: Mapping[str, Any]) -> Definition:
        """Return the definition of the task called `name`, for a call with these options where this program has none."""
        if not is_task_name(name):
            hint = "; a task that is at hand has delay() and apply_async()" if isinstance(name, Task | TaskMethod) else ""
            raise TypeError(f"queue.send() takes a task's name, such as 'shop.tasks.price', not {name!r:.80}{hint}")
        known = self.definitions.get(name)
        if known is None and testing_mode.sandbox is not None:
            self.find(name)
        return known or by_name.definition(self, name, options)

    def anonymous(self, function: Callable[..., Any], what: str) -> Task[..., Any] | TaskMethod[..., Any]:
        """Return the task of any callable; `what` begins the error where it is none."""
        if isinstance(function, Task | TaskMethod):
            return function
        if not callable(function):
            raise TypeError(f"{what}, not {function!r}")
        return Task(
            Definition(function, self, None, options.TaskOptions(), by_value=True)
        )  # a worker looks up tasks only, never functions

    def find(self, name: str) -> Task[..., Any]:
        """Return the task called `name`.

        Raises:
            TaskNotRegistered: names the known ones.
        """
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise TaskNotRegistered(f"no task {name!r} on queue {self.name!r}; known are: {known}")
        return self.tasks[name]


def _checked_after(given: Any) -> tuple[AsyncResult[Any], ...]:
    """Return the results that `depends_on=` of a decorator has; TypeError for what is none."""
    if given is None:
        return ()
    from hotqueue.tasks.workflow.signature import results

    return results(given)


def is_task_name(name: object) -> bool:
    """Tell whether a task can be called that: not at will, since each of its calls, what it waits for and its keys say so."""
    if not isinstance(name, str) or not 0 < len(name) <= MOST_BYTES or any(c.isspace() for c in name):
        return False
    return name.isascii() or (not any("\ud800" <= c <= "\udfff" for c in name) and len(name.encode()) <= MOST_BYTES)


def registry_of(owner: Owner) -> Registry:
    """Return the tasks of a queue."""
    found = client_of(owner)
    assert isinstance(found, Registry)
    return found
