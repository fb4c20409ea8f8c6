"""Which keys those scripts get that workers and upkeep run, in the order in which their heads name them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue import keys


class WorkerScriptKeys:
    """The keys of one queue, in lists for the scripts of workers and of upkeep.

    Attributes:
        ready: of sync tasks, of `async def` ones, and of suspects.
        bells: of sync tasks, and of `async def` ones.
        done: the ids that ended without a lasting result, in thirds.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = [keys.ready(name), keys.ready_async(name), keys.suspects(name)]
        self.bells = [keys.bell(name), keys.bell_async(name)]
        self.done = [keys.done(name, third) for third in range(3)]

    # --- workers -------------------------------------------------------------------------------------------------

    def register(self, worker: str) -> list[str]:
        """Of register.lua."""
        return [keys.workers(self.name), keys.worker(self.name, worker), keys.held(self.name, worker)]

    def step(self, worker: str) -> list[str]:
        """Of step.lua, but for the last ones, one an action."""
        n = self.name
        return [
            *(keys.tasks(n), keys.attempts(n), *self.ready, keys.scheduled(n), keys.held(n, worker), keys.workers(n)),
            *(keys.worker(n, worker), *self.bells, keys.seq(n), keys.stats(n), keys.paused(n), keys.dead(n)),
            *(keys.dead_tasks(n), *self.done, keys.needs(n), keys.waiters(n)),
            *(keys.dead_bytes(n), keys.expiring(n), keys.revoked(n), keys.large(n), keys.owned(n)),
        ]

    def recover(self, worker: str) -> list[str]:
        """Of recover.lua."""
        n = self.name
        return [keys.tasks(n), keys.attempts(n), keys.held(n, worker), keys.workers(n), keys.worker(n, worker), keys.owned(n)]

    def checkpoint(self, worker: str) -> list[str]:
        """Of checkpoint.lua."""
        n = self.name
        return [keys.attempts(n), keys.workers(n), keys.held(n, worker), keys.checkpoints(n)]

    def take_back(self, worker: str) -> list[str]:
        """Of take_back.lua."""
        return [keys.held(self.name, worker), *self.ready, *self.bells]

    def unpark(self, need: str) -> list[str]:
        """Of unpark.lua."""
        n = self.name
        return [keys.tasks(n), keys.attempts(n), *self.ready, keys.parked(n, need), keys.needs(n), *self.bells, keys.paused(n)]

    # --- maintenance ---------------------------------------------------------------------------------------------

    def share(self) -> list[str]:
        """Of share.lua."""
        return [keys.shares(self.name, "swept"), keys.shares(self.name, "sweepers")]

    def sweep(self, own: Sequence[str] = ()) -> list[str]:
        """Of sweep.lua; `own` are the supervisor's workers."""
        n = self.name
        return [
            *(keys.workers(n), keys.scheduled(n), keys.control(n), keys.tasks(n), *self.ready, *self.bells),
            *(keys.paused(n), keys.expiring(n), keys.owned_over(n), keys.outbox(n), keys.receipts(n), keys.schedules_next(n)),
            *(keys.steps_todo(n), keys.steps_open(n), keys.accounts(n), keys.enqueued(n)),
            *(keys.held(n, worker) for worker in own),
        ]

    def fold(self) -> list[str]:
        """Of fold.lua."""
        n = self.name
        return [keys.accounts(n), keys.ended(n), keys.statistics(n), keys.enqueued(n)]

    def deploy(self) -> list[str]:
        """Of deploy.lua."""
        return [keys.deploys(self.name)]

    def free_done(self) -> list[str]:
        """Of free_done.lua."""
        return self.done

    def promote(self) -> list[str]:
        """Of promote.lua."""
        n = self.name
        return [keys.tasks(n), keys.scheduled(n), *self.ready[:2], keys.seq(n), *self.bells]

    def mend_lanes(self) -> list[str]:
        """Of mend_lanes.lua."""
        n = self.name
        return [keys.ready(n), keys.lanes(n), keys.blocked(n), keys.gated(n), keys.tasks(n)]

    def mend_unique(self) -> list[str]:
        """Of mend_unique.lua."""
        return [keys.ready(self.name)]

    def what_is_left(self) -> list[str]:
        """Of what_is_left.lua."""
        n = self.name
        return [
            *(keys.tasks(n), keys.dead_tasks(n), keys.paused(n), keys.owned(n), keys.owned_over(n)),
            *(keys.seq(n), keys.stats(n), *self.bells, keys.outbox(n), keys.receipts(n), keys.schedules(n)),
            *(keys.accounts(n), keys.enqueued(n)),
        ]

    def claim(self) -> list[str]:
        """Of claim.lua."""
        n = self.name
        return [keys.suspects(n), keys.attempts(n), keys.claims(n), keys.paused(n)]

    def reap(self, worker: str) -> list[str]:
        """Of reap.lua."""
        n = self.name
        return [
            *(keys.attempts(n), *self.ready, keys.held(n, worker), keys.workers(n), keys.worker(n, worker)),
            *(*self.bells, keys.stats(n)),
        ]

    def audit(self, workers: Sequence[str], needs: Sequence[str]) -> list[str]:
        """Of audit.lua; `workers` are those that are registered."""
        n = self.name
        return [
            *(keys.tasks(n), *self.ready, keys.scheduled(n), keys.workers(n), keys.needs(n), keys.seq(n), *self.bells),
            *(keys.large(n), keys.blocked(n), keys.lanes(n), keys.gated(n)),
            *(keys.held(n, worker) for worker in workers),
            *(keys.parked(n, need) for need in needs),
        ]
