"""Workflows inside `queue.testing()`: kept and run as the store does; see `steps` for who waits for whom."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.workflows import known_in_part
from hotqueue.tasks.testing.runner import Runner
from hotqueue.tasks.testing.schedules import MemorySchedules
from hotqueue.tasks.testing.steps import Steps
from hotqueue.tasks.testing.storage import Entry, now
from hotqueue.tasks.testing.unique_keys import UniqueKeys
from hotqueue.tasks.wire.plan import Step


class MemoryPlans(MemorySchedules):
    """What `Broker` does with workflows."""

    _runner: Runner

    def _entry(self, task_id: str, due: str, expires: str, envelope: bytes) -> Entry:
        raise NotImplementedError

    def _check_room(self, tasks: Sequence[Encoded]) -> None:
        raise NotImplementedError

    def enqueue_plan(self, workflow_id: str, steps: Sequence[Step], graph: bytes, _stays_ms: int) -> None:
        """Keep the steps of a workflow, and have those run that wait for nobody, and what follows them."""
        self._runner.run(self._storage, self._entered_steps(workflow_id, steps, graph))

    async def aenqueue_plan(self, workflow_id: str, steps: Sequence[Step], graph: bytes, _stays_ms: int) -> None:
        """Asyncio twin of `enqueue_plan`."""
        await self._runner.arun(self._storage, self._entered_steps(workflow_id, steps, graph))

    def _entered_steps(self, workflow_id: str, steps: Sequence[Step], graph: bytes) -> list[Entry]:
        known = [step.id for step in steps if self._storage.knows(step.id)]
        is_forgotten = workflow_id not in known and any(step.id == workflow_id for step in steps)
        if len(known) == len(steps) or (self._storage.workflows.get(workflow_id) == graph and not is_forgotten):
            return []  # it was sent before; errbacks that were not called are not known
        if known:
            raise known_in_part(known)
        self._check_room([Encoded(step.id, step.due, step.expires, step.envelope) for step in steps if not step.needs])
        entries = [self._entry(step.id, step.due, step.expires, step.envelope) for step in steps]
        UniqueKeys(self._storage).check_first([entry for entry, step in zip(entries, steps, strict=True) if not step.needs])
        free = Steps(self._storage).enter(entries, steps)
        self._storage.workflows[workflow_id] = graph
        return free

    def workflow(self, workflow_id: str) -> bytes | None:
        """Return the graph of a workflow."""
        return self._storage.workflows.get(workflow_id)

    def revoke_steps(self, ids: Sequence[str]) -> int:
        """End those of these tasks that wait; return how many these were."""
        return sum(self.revoke(task_id, f"R{now()} 0".encode(), 0) == "revoked" for task_id in ids)

    def revoke_many(self, ids: Sequence[str]) -> tuple[int, list[str]]:
        """Do as `revoke_steps`; return the ids as well of those that run."""
        ended = self.revoke_steps(ids)
        return ended, [task_id for task_id in ids if task_id in self._storage.unfinished]

    def revoke(
        self, task_id: str, record: bytes, ttl_ms: int, need: str = "-", terminate: bool = False, patience: float = 0.0
    ) -> str:
        """End a waiting task."""
        raise NotImplementedError

    def records(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the records of tasks."""
        return [self._storage.records.get(task_id) for task_id in ids]
