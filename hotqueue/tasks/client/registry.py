"""Registry: a queue's task side. Its tasks by name, its broker, its replies, its dead; what HotQueue's task methods call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_type_hints

from hotqueue import moved
from hotqueue.errors import Interruption, TaskNotRegistered
from hotqueue.tasks.broker.stored import BULK
from hotqueue.tasks.client import names
from hotqueue.tasks.client.client import Client, Owner, client_of
from hotqueue.tasks.client.handle import check_id
from hotqueue.tasks.client.method import TaskMethod, unbound
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.task import AsyncTask, Task
from hotqueue.tasks.rules import options
from hotqueue.tasks.rules.callables import is_async
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire import envelope, functions, main_module


@dataclass(frozen=True)
class DeadTask:
    """A task in the dead list.

    Attributes:
        task: its name.
        args: its arguments as text.
        error: class path of what ended it.
        message: what it said.
        deliveries: how many processes died while it was the only one that they ran.
        errors: the last few errors, oldest first.
        died: when.
        shared_deaths: how many processes died while they ran it beside others.
        hosts_lost: how many hosts, or supervisors, were lost with it.
    """

    id: str
    task: str
    args: str
    error: str
    message: str
    traceback: str
    retries: int
    deliveries: int
    errors: tuple[dict[str, Any], ...]
    died: datetime
    shared_deaths: int = 0
    hosts_lost: int = 0

    @property
    def reason(self) -> str:
        """The error in one line."""
        return f"{self.error}: {self.message}" if self.message else self.error


DeadTask.__annotations__ = get_type_hints(DeadTask)  # while they can be found by the name of the module
DeadTask.__module__ = "hotqueue.tasks"


class Registry(Client):
    """A client that knows the tasks of its queue; made when a HotQueue is first asked for it."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.clashes: list[str] = []  # what was defined under a name that another function had

    # --- defining -------------------------------------------------------------------------------------------------

    def task(self, function: Callable[..., Any] | None, given: Mapping[str, Any]) -> Any:
        """Return the task made of `function`, or a decorator."""
        told = dict(given)
        name = told.pop("name", None)
        if name is not None and not _is_task_name(name):
            raise TypeError(f"@queue.task name= takes a str without spaces, not {name!r:.80}")
        made = options.make(told, "@queue.task")

        def decorate(function: Callable[..., Any]) -> Task[..., Any]:
            function, bound_to = unbound(function)
            main_module.adopt(function)
            kind = AsyncTask if callable(function) and is_async(function) else Task
            return self.add(kind(function, self, name, made, bound_to))

        return decorate if function is None else decorate(function)

    def add(self, task: Task[..., Any]) -> Task[..., Any]:
        """Register a task; one defined again takes the old one's place, with a warning if it is another function."""
        old = self.tasks.get(task.name)
        if old is not None and not functions.is_nameless(task.name, task.__wrapped__):
            clash = names.clash(task.name, self.name, old.__wrapped__, task.__wrapped__)
            if clash:
                self.clashes.append(clash)
                names.warn(clash)
        self.tasks[task.name] = task
        return task

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncResult[Any]:
        """Send a call of any callable, by value where no worker can import it."""
        return self._anonymous(function).delay(*args, **kwargs)

    def _anonymous(self, function: Callable[..., Any]) -> Task[..., Any] | TaskMethod[..., Any]:
        if isinstance(function, Task | TaskMethod):
            return function
        if not callable(function):
            raise TypeError(f"queue.submit() takes a callable and its arguments, not {function!r}")
        return Task(function, self, None, options.TaskOptions(), by_value=True)  # a worker looks up tasks only, never functions

    def find(self, name: str) -> Task[..., Any]:
        """Return the task called `name`.

        Raises:
            TaskNotRegistered: names the known ones.
        """
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise TaskNotRegistered(f"no task {name!r} on queue {self.name!r}; known are: {known}")
        return self.tasks[name]

    # --- the dead ------------------------------------------------------------------------------------------------

    def dead(self) -> Iterator[DeadTask]:
        """Yield the dead, newest first."""
        start = 0
        while rows := self.broker.dead(start, 100):
            yield from (_dead_task(task_id, at, data) for task_id, at, data in rows)
            start += len(rows)

    def retry_dead(self, task_id: str | AsyncResult[Any] | None, all: bool) -> int:
        """Put one dead task, or all of them, back into the queue; return how many."""
        return self._over_dead(task_id, all, "retry_dead", lambda ids: len(self.broker.revive(ids)))

    def discard_dead(self, task_id: str | AsyncResult[Any] | None, all: bool) -> int:
        """Throw one dead task, or all of them, away; return how many."""
        return self._over_dead(task_id, all, "discard_dead", self.broker.discard)

    def _over_dead(self, task_id: Any, every: bool, what: str, act: Callable[[Sequence[str]], int]) -> int:
        if (task_id is None) is not every:
            raise TypeError(f"queue.{what}() takes the id of a dead task, or all=True")
        if task_id is not None:
            return act([check_id(getattr(task_id, "id", task_id), f"queue.{what}()")])
        total = 0
        for _ in range(self.broker.dead_count() // BULK + 1):  # those that die meanwhile are not meant
            ids = self.broker.dead_ids(BULK)
            if not ids:
                break
            total += act(ids)
        return total


def _is_task_name(name: object) -> bool:
    if not isinstance(name, str) or not name or any(c.isspace() for c in name):
        return False
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)


def _dead_task(task_id: str, at: int, data: bytes) -> DeadTask:
    head, _, body = data.partition(b"\n")
    told = json_object(head) or {}
    errors = told.get("errors")
    try:
        call = envelope.decode(body)
        name, args = call.task, call.args_repr
    except Interruption:
        raise
    except Exception:  # it may be dead because it cannot be decoded
        name, args = "?", f"<{len(body)} bytes>"
    return DeadTask(
        task_id,
        name,
        args,
        moved.today(told.get("error", "")),
        told.get("message", ""),
        told.get("traceback", ""),
        told.get("retries", 0),
        told.get("deliveries", 0),
        tuple(errors) if isinstance(errors, list) else (),
        options.datetime_of(at),
        told.get("shared_deaths", 0),
        told.get("hosts_lost", 0),
    )


def registry_of(owner: Owner) -> Registry:
    """Return the tasks of a queue."""
    found = client_of(owner)
    assert isinstance(found, Registry)
    return found
