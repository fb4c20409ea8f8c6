"""The dead list of a queue: the tasks that failed for good, as users see them, retry them and discard them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_type_hints

from hotqueue import moved
from hotqueue.errors import DuplicateTask, Interruption
from hotqueue.plurals import plural
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.discarding import WHY_NOT
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.handle import check_id
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.wire import envelope

PAGE = 100  # dead tasks that are read at once, and fewer of large ones
MOST = 1_000_000_000  # more than a dead list ever has; Lua writes larger numbers as no whole ones


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
        sent: when, by the clock of its sender; None where that cannot be read.
        priority: its own.
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
    sent: datetime | None = None
    priority: int = 0

    @property
    def reason(self) -> str:
        """The error in one line."""
        return f"{self.error}: {self.message}" if self.message else self.error


DeadTask.__annotations__ = get_type_hints(DeadTask)  # while they can be found by the name of the module
DeadTask.__module__ = "hotqueue.tasks"


class DeadList:
    """The dead of one queue."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def listed(self, start: int, limit: int | None) -> Iterator[DeadTask]:
        """Return what yields them, the newest first, and reads a page at a time; see `HotQueue.dead`."""
        for name, number in (("start", start), ("limit", 0 if limit is None else limit)):
            if type(number) is not int or number < 0:
                raise TypeError(f"queue.dead() takes a number from 0 as {name}=, not {number!r:.80}")
        return self._pages(min(start, MOST), limit)

    def _pages(self, start: int, limit: int | None) -> Iterator[DeadTask]:
        yielded, seen, moment = 0, set[str](), None  # ids of those that died in the moment of the last one
        last = None
        while limit is None or yielded < limit:
            rows, last = self._broker.dead(PAGE if limit is None else min(PAGE, limit - yielded), start, last)
            if not rows:
                return
            for task_id, at, data in rows:
                if at != moment:
                    moment, seen = at, set()
                if task_id in seen or not data:
                    continue
                if limit is not None and yielded == limit:
                    return
                seen.add(task_id)
                yielded += 1
                yield _dead_task(task_id, at, data)

    def retry(self, task_id: str | AsyncResult[Any] | None, all: bool) -> int:
        """Put one dead task, or all of them, back into the queue; return how many.

        Raises:
            DuplicateTask: that one is unique, and another with its key is there. Of all, such ones stay where they are.
        """
        kept: dict[str, str] = {}

        def revive(ids: Sequence[str]) -> int:
            back, others = self._broker.revive_free(ids)
            kept.update(others)
            return len(back)

        number = self._over(task_id, all, "retry_dead", revive, kept)
        self._tell()
        if kept and not all:
            own, other = kept.popitem()
            raise DuplicateTask(
                f"task {own} stays dead: another with its unique key is there, task {other}; retry it once that has ended", other
            )
        return number

    def discard(self, task_id: str | AsyncResult[Any] | None, all: bool) -> int:
        """Throw one dead task, or all of them, away; return how many."""
        number = self._over(task_id, all, "discard_dead", self._broker.discard)
        self._tell()
        return number

    def undo_discard(self, task_id: str | AsyncResult[Any] | None) -> int:
        """Bring one task back that was thrown away lately, or all that were; return how many are dead again.

        Raises:
            ValueError: that one cannot be: why.
        """
        if task_id is None:
            return len(self._broker.undo_discard(self._broker.discarded_ids()).ids)
        named = check_id(getattr(task_id, "id", task_id), "queue.undo_discard()")
        found = self._broker.undo_discard([named])
        if named in found.refused:
            raise ValueError(f"task {named:.200} cannot be brought back: {WHY_NOT[found.refused[named]]}")
        return len(found.ids)

    def _tell(self) -> None:
        """Have other queues hear of it, whose workflows had steps here: no worker may be there to tell them."""
        from hotqueue.tasks.workflow.crossing import bring

        bring(self._broker)

    def _over(self, task_id: Any, every: bool, what: str, act: Callable[[Sequence[str]], int], kept: Sized = ()) -> int:
        if (task_id is None) is not every:
            raise TypeError(f"queue.{what}() takes the id of a dead task, or all=True")
        if task_id is not None:
            return act([check_id(getattr(task_id, "id", task_id), f"queue.{what}()")])
        total = 0
        for _ in range(self._broker.dead_count() // BULK + 1):  # those that die meanwhile are not meant
            ids = self._broker.dead_ids(BULK, len(kept))  # what stays is among the newest
            if not ids:
                break
            total += act(ids)
        return total


def _dead_task(task_id: str, at: int, data: bytes) -> DeadTask:
    head, _, body = data.partition(b"\n")
    found = json_object(head) or {}
    errors = found.get("errors")
    try:
        call = envelope.decode(body)
        name, args, sent, priority = call.task, call.args_repr, datetime_of(call.created), call.priority
    except Interruption:
        raise
    except Exception:  # it may be dead because it cannot be decoded
        name, args, sent, priority = "?", f"<{plural(len(body), 'byte')}>", None, 0
    return DeadTask(
        task_id,
        name,
        args,
        moved.today(found.get("error", "")),
        found.get("message", ""),
        found.get("traceback", ""),
        found.get("retries", 0),
        found.get("deliveries", 0),
        tuple(errors) if isinstance(errors, list) else (),
        datetime_of(at),
        found.get("shared_deaths", 0),
        found.get("hosts_lost", 0),
        sent,
        priority,
    )
