"""Registry: a queue's task side. Its tasks by name, its broker, its replies, its dead; what HotQueue's task methods call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, get_type_hints

from hotqueue import keys, moved, signing
from hotqueue.errors import Interruption, TaskNotRegistered
from hotqueue.runtime import in_place
from hotqueue.signing import Signer
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import BULK, Broker
from hotqueue.tasks.client import names
from hotqueue.tasks.client.batch import open_batch
from hotqueue.tasks.client.method import TaskMethod, unbound
from hotqueue.tasks.client.replies import Replies
from hotqueue.tasks.client.result import AsyncResult, check_id
from hotqueue.tasks.client.task import AsyncTask, Task
from hotqueue.tasks.rules import options
from hotqueue.tasks.rules.callables import is_async
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire import envelope, functions, main_module

if TYPE_CHECKING:
    from hotqueue.queue import HotQueue


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


class Registry:
    """What a HotQueue knows of tasks; made when it is first asked for."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue = queue
        self.name = queue.name
        if queue.secret_key != signing.KEPT_BACK:  # else a task may have got it as an argument and never use it
            _ = self.signer  # refuse impossible keys early
        self.tasks: dict[str, Task[..., Any]] = {}
        self.clashes: list[str] = []  # what was defined under a name that another function had
        self._brokers: dict[str, Broker] = {}
        self._replies: dict[str, Replies] = {}
        self._lock = threading.Lock()

    @cached_property
    def signer(self) -> Signer | None:
        """What signs and verifies this queue's envelopes; None without a secret key."""
        return signing.signer_of(self.queue.secret_key, self.name)

    def result_signer(self, name: str) -> Signer | None:
        """Return what signs and verifies the results of a queue."""
        return None if self.signer is None else self.signer.for_results(name)

    # --- defining and sending ------------------------------------------------------------------------------------

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
            task = kind(function, self, name, made)
            task._bound_to = bound_to
            return self.add(task)

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
        task = Task(function, self, None, options.TaskOptions())
        task._by_value = True  # a worker looks up tasks only, never bare functions
        return task

    def send_one(self, name: str, task_id: str, data: bytes) -> None:
        """Enqueue an encoded task that may run at once: what `delay` does."""
        batch = open_batch(self)
        if batch is None:
            self.broker_of(name).enqueue_one(task_id, data)
        else:
            batch.add(name, [(task_id, "", "", data)])

    def send(self, name: str, tasks: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Enqueue encoded tasks on the queue called `name`, at most BULK of them; inside of a batch, at its end."""
        batch = open_batch(self)
        if batch is None:
            self.broker_of(name).enqueue(tasks)
        else:
            batch.add(name, tasks)

    async def asend(self, name: str, tasks: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Asyncio twin of `send`."""
        batch = open_batch(self)
        if batch is None:
            await self.broker_of(name).aenqueue(tasks)
        else:
            batch.add(name, tasks)

    def find(self, name: str) -> Task[..., Any]:
        """Return the task called `name`.

        Raises:
            TaskNotRegistered: names the known ones.
        """
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise TaskNotRegistered(f"no task {name!r} on queue {self.name!r}; known are: {known}")
        return self.tasks[name]

    @property
    def store(self) -> Store:
        """Where the queue lives."""
        return self.queue.store

    def move(self, store: Store) -> None:
        """Have the queue, and all that is sent through it, live elsewhere: `hotqueue-worker --url`."""
        self.queue.store = store
        self._brokers.clear()
        self._replies.clear()

    # --- rooms of this queue, and of others on the same store ----------------------------------------------------

    def broker_of(self, name: str) -> Broker:
        """Return the broker of a queue on this store; inside `queue.testing()`, the one in memory."""
        if in_place.stage is not None:
            return in_place.stage.broker_of(self, name)  # type: ignore[no-any-return]  # as far as programs call it
        return self._brokers.get(name) or self._own_broker(name)

    def _own_broker(self, name: str) -> Broker:
        found = self._brokers.get(name)
        if found is None:
            found = self._brokers.setdefault(name, Broker(self.store, keys.check_name(name)))
        return found

    @property
    def broker(self) -> Broker:
        """This queue's broker."""
        return self.broker_of(self.name)

    def replies(self, name: str) -> Replies:
        """Return where this process waits for results of a queue."""
        if in_place.stage is not None:
            return in_place.stage.replies_of(self, name)  # type: ignore[no-any-return]
        with self._lock:
            if name not in self._replies:
                self._replies[name] = Replies(self._own_broker(name), partial(self._end_expired, name))
            return self._replies[name]

    def _end_expired(self, name: str, task_id: str, late_ms: int) -> None:
        """End a task that somebody waits for and that is past its expiry, unless it runs."""
        self._own_broker(name).look(task_id)

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
