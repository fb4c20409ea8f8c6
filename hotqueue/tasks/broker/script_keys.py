"""Which keys each script gets, in the order in which its head names them: one method a script. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from hotqueue import keys
from hotqueue.tasks.broker.worker_script_keys import WorkerScriptKeys


class ScriptKeys(WorkerScriptKeys):
    """The keys of one queue, in lists for its scripts; those for workers and upkeep are in worker_script_keys.py."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._enqueue = [
            *(keys.tasks(name), keys.attempts(name), *self.ready[:2], keys.scheduled(name), keys.seq(name), *self.bells),
            *(keys.dead_tasks(name), *self.done, keys.stats(name), keys.expiring(name), keys.large(name), keys.enqueued(name)),
        ]
        self._ending = [  # of what ends tasks that wait
            *(keys.tasks(name), keys.attempts(name), *self.ready, keys.scheduled(name), keys.needs(name), keys.waiters(name)),
            *(*self.done, keys.stats(name), keys.expiring(name), keys.revoked(name), keys.large(name), keys.owned(name)),
        ]

    # --- clients -------------------------------------------------------------------------------------------------

    def enqueue(self) -> list[str]:
        """Of enqueue.lua."""
        return self._enqueue

    def enqueue_one(self, is_async: bool) -> list[str]:
        """Of enqueue_one.lua, but for the last one: the task's result."""
        n = self.name
        return [
            *(keys.tasks(n), self.ready[is_async], keys.seq(n), self.bells[is_async]),
            *(keys.dead_tasks(n), *self.done, keys.enqueued(n), keys.large(n)),
        ]

    def wait(self, client: str, ids: Sequence[str] = ()) -> list[str]:
        """Of wait.lua."""
        n = self.name
        own = [keys.tasks(n), *self.done, keys.reply(n, client), keys.waiters(n), keys.attempts(n)]
        return own + [keys.result(n, task_id) for task_id in ids]

    def look(self, task_id: str) -> list[str]:
        """Of look.lua."""
        n = self.name
        return [
            *(keys.tasks(n), keys.attempts(n), *self.ready, keys.scheduled(n), keys.result(n, task_id)),
            *(*self.done, keys.dead_tasks(n), keys.progress(n, task_id)),
        ]

    def why(self, task_id: str) -> list[str]:
        """Of why.lua."""
        n = self.name
        return [*self.look(task_id)[:-1], keys.paused(n), keys.workers(n), keys.stats(n)]

    def glimpse(self) -> list[str]:
        """Of glimpse.lua."""
        return [keys.tasks(self.name), keys.attempts(self.name)]

    def revoke(self, task_id: str, need: str) -> list[str]:
        """Of revoke.lua."""
        n = self.name
        return [*self._ending, keys.result(n, task_id), keys.parked(n, need), keys.control(n)]

    def revoke_some(self, looked_through: str) -> list[str]:
        """Of revoke_some.lua; its last is the key that is looked through."""
        return [*self._ending, looked_through]

    def pause(self) -> list[str]:
        """Of pause.lua."""
        return [keys.paused(self.name), *self.ready[:2], *self.bells]

    def may_start(self, workers: Sequence[str]) -> list[str]:
        """Of may_start.lua."""
        return [keys.tasks(self.name), *self.unstarted(workers)]

    def wake_tokens(self, kind: str) -> list[str]:
        """Of wake_tokens.lua; `kind` as of `StoredQueue.bell_key`."""
        return [self.bells[kind == "a"]]

    def count_waiting(self) -> list[str]:
        """Of count_waiting.lua."""
        return self.ready[:1]

    def has_tasks(self) -> list[str]:
        """Of has_tasks.lua."""
        return [*self.ready, keys.needs(self.name), keys.scheduled(self.name)]

    def glance(self) -> list[str]:
        """Of glance.lua."""
        return [keys.tasks(self.name)]

    def heads(self) -> list[str]:
        """Of heads.lua."""
        return [keys.tasks(self.name), *self.ready]

    def spans(self) -> list[str]:
        """Of spans.lua."""
        return [keys.statistics(self.name), keys.accounts(self.name), keys.enqueued(self.name)]

    def needs_upkeep(self) -> list[str]:
        """Of needs_upkeep.lua."""
        n = self.name
        return [
            keys.tasks(n),
            keys.owned_over(n),
            keys.outbox(n),
            keys.receipts(n),
            keys.schedules_next(n),
            keys.steps_todo(n),
            keys.steps_open(n),
            keys.control(n),
            keys.accounts(n),
            keys.enqueued(n),
        ]

    def unstarted(self, workers: Sequence[str]) -> list[str]:
        """Of unstarted.lua."""
        return [keys.held(self.name, worker) for worker in workers]

    def expire(self, tasks: Sequence[tuple[str, str]]) -> list[str]:
        """Of expire.lua; `tasks` are ids, each with what the task is parked for."""
        n = self.name
        return self._ending + [key for task_id, need in tasks for key in (keys.result(n, task_id), keys.parked(n, need))]

    def list_expired(self) -> list[str]:
        """Of list_expired.lua."""
        return [keys.expiring(self.name), keys.attempts(self.name)]

    def revive(self) -> list[str]:
        """Of revive.lua."""
        n = self.name
        return [
            *(keys.tasks(n), keys.attempts(n), *self.ready[:2], keys.seq(n), keys.dead(n), keys.dead_tasks(n), *self.bells),
            *(keys.dead_bytes(n), keys.large(n), keys.owned(n)),
        ]

    def list_dead(self) -> list[str]:
        """Of list_dead.lua."""
        return [keys.dead(self.name), keys.dead_tasks(self.name)]

    def discard(self) -> list[str]:
        """Of discard.lua."""
        n = self.name
        listed = keys.dead(n), keys.dead_tasks(n), keys.dead_bytes(n)
        return [*listed, keys.owned(n), keys.discarded(n), keys.discarded_tasks(n)]

    def undo_discard(self) -> list[str]:
        """Of undo_discard.lua."""
        n = self.name
        listed = keys.dead(n), keys.dead_tasks(n), keys.dead_bytes(n)
        return [*listed, keys.discarded(n), keys.discarded_tasks(n), keys.tasks(n)]

    # --- streams -------------------------------------------------------------------------------------------------

    def stream_add(self, worker: str, task_id: str) -> list[str]:
        """Of stream_add.lua."""
        n = self.name
        return [keys.stream(n, task_id), keys.streamed(n, task_id), keys.workers(n), keys.held(n, worker)]

    def stream_read(self, task_id: str) -> list[str]:
        """Of stream_read.lua."""
        n = self.name
        return [keys.stream(n, task_id), keys.streamed(n, task_id), keys.tasks(n)]

    # --- results that are owned ----------------------------------------------------------------------------------

    def own(self) -> list[str]:
        """Of own.lua."""
        n = self.name
        return [keys.tasks(n), keys.dead_tasks(n), *self.done, keys.owned(n)]

    def let_go(self) -> list[str]:
        """Of let_go.lua."""
        return [keys.owned(self.name), keys.owned_over(self.name)]

    def mend_owners(self) -> list[str]:
        """Of mend_owners.lua."""
        return [keys.owned(self.name), keys.tasks(self.name), keys.dead_tasks(self.name)]

    def forget(self, task_id: str) -> list[str]:
        """Of forget.lua."""
        return [keys.result(self.name, task_id), keys.owned(self.name)]

    def upgrade(self) -> list[str]:
        """Of upgrade.lua."""
        n = self.name
        return [keys.workers(n), keys.seq(n), *(keys.schema(n, number) for number in range(2, keys.SCHEMA + 1))]

    # --- workflows -----------------------------------------------------------------------------------------------

    def step_states(self) -> list[str]:
        """Of step_states.lua."""
        return [keys.tasks(self.name), keys.dead_tasks(self.name), keys.scheduled(self.name)]

    def revoke_steps(self) -> list[str]:
        """Of revoke_steps.lua."""
        return self._ending

    def follow(self) -> list[str]:
        """Of follow.lua."""
        n = self.name
        return [keys.ready(n), keys.owned(n), keys.steps_todo(n), keys.steps_open(n)]

    # --- what goes from queue to queue ---------------------------------------------------------------------------

    def posted(self, target: str) -> list[str]:
        """Of posted.lua and strike.lua."""
        return [keys.outbox(self.name), keys.posted(self.name, target)]

    def renumber(self, target: str) -> list[str]:
        """Of renumber.lua."""
        return [keys.posted(self.name, target)]

    def received(self, source: str) -> list[str]:
        """Of told.lua and drop_source.lua; and of enqueue.lua behind its others, for what comes from an outbox."""
        return [keys.receipts(self.name), keys.received(self.name, source)]

    def ask_again(self) -> list[str]:
        """Of ask_again.lua."""
        return [self.ready[0], keys.owned(self.name), keys.steps(self.name)]

    def hear(self, source: str) -> list[str]:
        """Of hear.lua."""
        n = self.name
        return [
            *(keys.tasks(n), keys.attempts(n), self.ready[0], keys.seq(n), keys.owned(n), *self.received(source)),
            *(keys.steps_reported(n), *self.done, keys.stats(n), keys.expiring(n), keys.revoked(n)),
        ]

    # --- gates ---------------------------------------------------------------------------------------------------

    def at_gate(self) -> list[str]:
        """Of at_gate.lua."""
        return [self.ready[0]]

    def pause_key(self) -> list[str]:
        """Of pause_key.lua."""
        return [self.ready[0], keys.paused_keys(self.name)]

    # --- schedules -----------------------------------------------------------------------------------------------

    def schedules(self) -> list[str]:
        """Of set_schedules.lua; and of enqueue.lua behind its others, for what schedules fire."""
        return [keys.schedules(self.name), keys.schedule_states(self.name), keys.schedules_next(self.name)]

    def due_schedules(self) -> list[str]:
        """Of due_schedules.lua."""
        return [*self.schedules(), keys.declarers(self.name)]

    def declare(self) -> list[str]:
        """Of declare.lua."""
        return [keys.declarers(self.name)]
