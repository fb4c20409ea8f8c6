"""The methods of HotQueue for whoever operates a queue of tasks, a line each: pausing it, revoking many, how it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hotqueue.hints import hinting
from hotqueue.tasks.client.client import Owner

if TYPE_CHECKING:
    from hotqueue.tasks.client.method import TaskMethod
    from hotqueue.tasks.client.registry import Registry
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.client.task import Task
    from hotqueue.tasks.rules.why import Why

    AnyTask = Task[..., Any] | TaskMethod[..., Any] | str


class Operating(Owner):
    """What can be done about a queue's tasks as a whole."""

    _registry: Registry | None = None

    @property
    def _tasks(self) -> Registry:
        if self._registry is None:
            from hotqueue.tasks.client.registry import Registry

            self._registry = Registry(self)
        return self._registry

    # --- pausing -------------------------------------------------------------------------------------------------

    @hinting
    def pause(self, task: AnyTask | None = None, key: str | None = None) -> None:
        """Have workers fetch nothing from this queue until `resume`, or start no tasks of one name, or key; what runs goes on.

        What is paused waits where it is, PENDING, in its order and with its priority; all else goes on as before. When this
        returns, none of it starts any more, wherever it is sent from; it waits 2 s at most for what workers had fetched before.

        Args:
            task: a task or its name, which nobody here has to know.
            key: what `concurrency_key`, `rate_limit_key` or `fair_key` makes of calls; without either, the whole queue.

        Raises:
            TypeError, ValueError: neither a task nor a name; what is no key.
            ConfigError: a thousand names are paused already.
        """
        from hotqueue.tasks.client import pausing

        pausing.pause(self._tasks, task, key)

    @hinting
    def resume(self, task: AnyTask | None = None, key: str | None = None) -> None:
        """Undo the `pause` with the same arguments: what waited runs, each task at its place."""
        from hotqueue.tasks.client import pausing

        pausing.resume(self._tasks, task, key)

    def stats(self) -> dict[str, Any]:
        """Return how the queue is: counts of tasks by how they wait, workers, what is paused; what happened: `hotqueue stats`.

        "pending" are all that wait, of them "ready", "blocked" at a gate, "scheduled", "parked", and "steps" of workflows behind
        others; of the ready, "suspects".
        "running" are in a worker's hand. "dead" are in the dead list. "paused" says whether the queue is;
        "paused_tasks" are names, "paused_keys" keys.
        """
        broker = self._tasks.broker
        counts, paused = broker.counts(), broker.paused()
        return {
            "pending": counts["waiting"],
            "running": max(0, counts["unfinished"] - counts["waiting"]),
            **{name: counts[name] for name in ("ready", "blocked", "scheduled", "steps", "parked", "suspects", "dead")},
            "workers": len(broker.workers()),
            "paused": broker.is_paused(),
            "paused_tasks": sorted(what.removeprefix("task:") for what in paused if what.startswith("task:")),
            "paused_keys": sorted(broker.paused_keys()),
        }

    def why(self, task_id: str) -> Why:
        """Return why a task waits, or what else there is to say of it, by its id; see `AsyncResult.why`."""
        return self._result(task_id, "queue.why()").why()

    async def awhy(self, task_id: str) -> Why:
        """Asyncio twin of `why`."""
        return await self._result(task_id, "queue.awhy()").awhy()

    def _result(self, task_id: str, where: str) -> AsyncResult[Any]:
        from hotqueue.tasks.client.handle import Handle, check_id
        from hotqueue.tasks.client.result import AsyncResult

        return AsyncResult(Handle(check_id(task_id, where), self._tasks))

    # --- revoking many -------------------------------------------------------------------------------------------

    @hinting
    def revoke_all(
        self,
        task: AnyTask | None = None,
        headers: Mapping[str, Any] | None = None,
        schedule: Any = None,
        *,
        all: bool = False,
    ) -> int:
        """Do to each task that is meant what `AsyncResult.revoke` does: one that waits never runs; one that runs goes on.

        Those that were there when this began are meant: of this name, sent with these headers, fired by this schedule. What a
        worker has in hand does not start any more if it has not, and does not run again if it has.

        Args:
            headers: what a task's headers have, among others: str, numbers, True, False or None by their names.
            schedule: the name of a schedule, or the schedule.
            all: in the place of the others: every task of the queue.

        Returns:
            How many waited, and have ended as REVOKED.

        Raises:
            TypeError, ValueError: what no task has; none of them is given, and not `all` either.
        """
        from hotqueue.tasks.client import revoking

        return revoking.revoke_all(self._tasks, task, headers, schedule, all)

    @hinting
    async def arevoke_all(
        self,
        task: AnyTask | None = None,
        headers: Mapping[str, Any] | None = None,
        schedule: Any = None,
        *,
        all: bool = False,
    ) -> int:
        """Asyncio twin of `revoke_all`."""
        from hotqueue.runtime.ending import in_thread

        return await in_thread(partial(self.revoke_all, task, headers, schedule, all=all))

    @hinting
    def purge(self, task: AnyTask | None = None, state: str | None = None) -> int:
        """Revoke the tasks that wait, of those that were there when this began; nothing that a worker has in hand.

        Args:
            task: only tasks of this name: a task, or its name.
            state: only those that are "waiting" for a worker (at a gate, or paused, too), "scheduled", "retrying" or "parked".

        Returns:
            How many there were; they have ended as REVOKED.

        Raises:
            TypeError, ValueError: no task, no such state.
        """
        from hotqueue.tasks.client import revoking

        return revoking.purge(self._tasks, task, state)

    @hinting
    async def apurge(self, task: AnyTask | None = None, state: str | None = None) -> int:
        """Asyncio twin of `purge`."""
        from hotqueue.runtime.ending import in_thread

        return await in_thread(self.purge, task, state)

    # --- the dead list -------------------------------------------------------------------------------------------

    def undo_discard(self, task_id: str | AsyncResult[Any] | None = None) -> int:
        """Bring one task back into the dead list that was thrown away within five minutes, or all that were; return how many.

        Not those that had steps of workflows behind them, which have ended for good with them; see docs/lifecycle.md.

        Raises:
            ValueError: that one cannot be brought back, and why.
        """
        from hotqueue.tasks.client.dead import DeadList

        return DeadList(self._tasks.broker).undo_discard(task_id)
