"""Why a task waits: facts of the broker → a reason and its sentence. What `why()` returns, and `ResultTimeout` says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotqueue.plurals import plural
from hotqueue.tasks.broker.facts import Facts, WorkerFacts
from hotqueue.tasks.broker.inspector import BEHIND
from hotqueue.tasks.broker.pausing import QUEUE
from hotqueue.tasks.broker.session import MORE
from hotqueue.tasks.client import words
from hotqueue.tasks.client.words import span, time_text
from hotqueue.tasks.context import Request, current_request
from hotqueue.tasks.rules import gates
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.rules.why import Why
from hotqueue.tasks.wire import envelope, record
from hotqueue.tasks.wire.envelope import ASYNC, BY_VALUE
from hotqueue.tasks.wire.plan import unquoted

if TYPE_CHECKING:
    from hotqueue.tasks.broker.broker import Broker


def why(broker: Broker, task_id: str) -> Why:
    """Return why a task waits, or what else there is to say of it; loads nothing of it."""
    caller = current_request()
    asking = ("", "") if caller is None else (caller.worker, caller.id if caller.queue == broker.name else "")
    facts = broker.facts(task_id, *asking)
    if facts.has_expired and not broker.is_in_place:
        broker.look(task_id)  # ends it
        facts = broker.facts(task_id, *asking)
    return elsewhere(broker, task_id, facts) if facts.where == "elsewhere" else Explaining(broker, facts, caller).why()


def elsewhere(broker: Broker, task_id: str, facts: Facts) -> Why:
    """Return why a step waits that another queue has."""
    queue = unquoted(facts.record)
    there = why(type(broker)(broker.store, queue), task_id)
    if there.reason in ("done", "unknown"):
        return Why("elsewhere", f"it is a step of queue {queue!r}, and on its way there, or its end on its way back", queue=queue)
    return Why(there.reason, f"it is a step of queue {queue!r}: {there}", **there.facts)


class Explaining:
    """What the facts of one task mean."""

    def __init__(self, broker: Broker, facts: Facts, caller: Request | None) -> None:
        self._facts, self._caller = facts, caller
        self._queue, self._store, self._is_in_place = broker.name, broker.store, broker.is_in_place
        self._kind, header = envelope.glimpse(facts.envelope)
        self._task = str(header.get("task", "?"))

    def why(self) -> Why:
        """Return the reason."""
        ways: dict[str, Callable[[], Why]] = {
            **dict.fromkeys(("result", "done", "dead"), self._ended),
            "held": self._in_hand,
            "ready": self._in_line,
            "lane": self._at_gate,
            "waits": self._behind_others,
            "parked": self._parked,
            "scheduled": self._for_later,
            "suspect": self._suspected,
            "unknown": self._unknown,
        }
        return ways[self._facts.where]()

    # --- it does not wait ----------------------------------------------------------------------------------------

    def _ended(self) -> Why:
        found = record.glimpse(self._facts.record)
        if found is not None:
            state, at = found
            return Why("done", f"it has ended: {state}, at {time_text(at)}", state=state, at=datetime_of(at))
        if self._facts.where == "dead":
            return Why("done", "it has failed, and is in the dead list", state=State.FAILURE, at=None)
        return Why("done", "it has ended, and its result was not kept", state=None, at=None)

    def _unknown(self) -> Why:
        return Why("unknown", "nothing is known of it: it was never sent there, or its result has expired")

    def _in_hand(self) -> Why:
        facts = self._facts
        if found := self._waits_for_itself():
            return found
        holder = next((worker for worker in facts.workers if worker.id == facts.holder), None)
        if self._is_in_place:
            return Why("running", "it is running, inside queue.testing()")
        if holder is None or holder.until < facts.now:
            return self._lost(holder)
        if facts.may_wait:
            return Why("fetched", f"{_named(holder)} has fetched it, and runs others before it", **_where(holder))
        since = holder.at if facts.fetch >= holder.fetch else 0
        seconds = max(0.0, (facts.now - since) / 1000) if since else None
        how = " in quarantine" if facts.history.width else ""
        again = f" (retry {facts.history.retries})" if facts.history.retries else ""
        when = f", since {time_text(since)} ({seconds:.1f} s)" if seconds is not None else ""
        moment = datetime_of(since) if since else None
        text = f"it is running{how}{again} at {_named(holder)}{when}"
        return Why("running", text, **_where(holder), since=moment, seconds=seconds, retries=facts.history.retries)

    def _lost(self, holder: WorkerFacts | None) -> Why:
        who = "the worker that had it in hand" if holder is None else _named(holder)
        return Why("lost", f"{who} was lost; it goes back to its place within some seconds", **_where(holder))

    def _behind_others(self) -> Why:
        text = "it is a step of a workflow, and waits for steps before it; queue.workflow(id) shows which"
        if paused := self._paused(is_said_apart=True):
            text += f"; {paused}"
        elif not (self._facts.worker_count or self._is_in_place):
            text += f"; and no worker listens on queue {self._queue!r} of {self._store}: start one with hotqueue-worker"
        return Why("waits_for_steps", text)

    # --- it waits for a worker -----------------------------------------------------------------------------------

    def _in_line(self) -> Why:
        return self._paused() or self._waits_for_itself() or self._without_worker() or self._not_known() or self._position()

    def _paused(self, is_said_apart: bool = False) -> Why | None:
        facts, where = self._facts, f"queue {self._queue!r}"
        what, name, since = "queue", self._queue, facts.paused.get(QUEUE)
        text = f"{where} is paused"
        if since is None:
            what, name, since = "task", self._task, facts.paused.get(f"task:{self._task}")
            text = f"task {name!r} is paused at {where}; queue.resume(task={name!r}) lets it run"
        if since is None:
            return None
        if self._is_in_place:
            text = text.partition(";")[0] + ", and this is inside queue.testing(): resume() runs what waits"
        elif not facts.worker_count and not is_said_apart:
            text = text.partition(";")[0] + f", and no worker listens on it at {self._store}"
        return Why("paused", text, what=what, name=name, since=datetime_of(since) if since else None)

    def _without_worker(self) -> Why | None:
        where = f"no worker listens on queue {self._queue!r} of {self._store}"
        if self._is_in_place:
            return Why("position", "it has not started yet, inside queue.testing()", position=1, of=1, workers=0)
        if self._facts.worker_count:
            return None
        if self._facts.worked_lately:
            text = (
                f"{where} just now, but one did in the last two minutes: if it is starting again, ask once more; if it was "
                "stopped, start one with hotqueue-worker"
            )
        else:
            text = (
                f"{where} (user {_user()}); start one with hotqueue-worker, and see that it names the same database file or URL"
            )
        return Why("no_worker", text, worked_lately=self._facts.worked_lately)

    def _not_known(self) -> Why | None:
        """Where no worker knows it, but none has found out yet."""
        data, workers = self._facts.envelope, self._facts.workers
        lists = [worker.tasks for worker in workers]
        is_by_value = len(data) > 3 and data[3] & BY_VALUE
        if is_by_value or self._facts.worker_count > len(workers) or not all(lists):
            return None
        if any(names is not None and (self._task in names or MORE in names) for names in lists):
            return None
        return self._unknown_task(self._task)

    def _unknown_task(self, name: str) -> Why:
        known = sorted({name for worker in self._facts.workers for name in worker.tasks or ()} - {MORE})
        shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        they = f" (they know {shown})" if known else ""
        text = (
            f"no worker of queue {self._queue!r} knows a task {name!r}, so it is kept for one that does{they}; start a worker "
            "with the module that defines it, or correct the name"
        )
        return Why("unknown_task", text, task=name, known=known, workers=self._facts.worker_count)

    def _position(self) -> Why:
        ahead, of, workers = int(self._facts.detail), self._facts.of, len(self._able()) or self._facts.worker_count
        line = f"{plural(ahead, 'task is', 'tasks are')} ahead of it, and {plural(workers, 'worker is', 'workers are')} at them"
        return Why("position", f"it is number {ahead + 1} of {of}: {line}", position=ahead + 1, of=of, workers=workers)

    def _suspected(self) -> Why:
        history, facts = self._facts.history, {"deaths": self._facts.history.deaths}
        deaths = [
            *([f"{history.deliveries} while it ran alone"] if history.deliveries else []),
            *([f"{history.shared} while it ran beside others"] if history.shared else []),
            *([f"{history.lost} that took their host along"] if history.lost else []),
        ]
        text = (
            f"it is suspected of killing its process ({plural(history.deaths, 'death')} so far: {', '.join(deaths)}), "
            "and waits for a quarantine process, apart from other tasks"
        )
        if paused := self._paused(is_said_apart=True):
            return Why("suspect", f"{text}; {paused}", **facts)
        if not self._facts.worker_count:
            text += f", which a worker of queue {self._queue!r} would start, but none listens there"
        return Why("suspect", text, **facts)

    # --- it waits for something else -----------------------------------------------------------------------------

    def _for_later(self) -> Why:
        history, due = self._facts.history, self._facts.detail
        seconds = max(0.0, (due - self._facts.now) / 1000)
        text = f"it is scheduled for {datetime_of(due):%Y-%m-%d %H:%M:%S} UTC"
        if not history.retries:
            return Why("eta", f"{text}, in {span(seconds)}", due=datetime_of(due), seconds=seconds)
        error = str(history.errors[-1].get("error", "")) if history.errors else ""
        text += f", in {span(seconds)}, after {plural(history.retries, 'retry', 'retries')}" + (f": {error}" if error else "")
        return Why("retry", text, due=datetime_of(due), seconds=seconds, retries=history.retries, error=error)

    def _parked(self) -> Why:
        need = self._facts.history.need
        kind, _, what = need.partition(":")
        if kind == "paused":
            text = f"task {what!r} was paused at queue {self._queue!r}; it goes back to its place in a moment"
            return self._paused() or Why("paused", text, what="task", name=what, since=None)
        if kind == "task":
            return self._unknown_task(what)
        if need == BEHIND:
            return self._behind()
        text = f"it needs a worker with {need}"
        if kind == "python":
            text = f"it was sent by value from Python {what}, and no worker of that version listens on queue {self._queue!r}"
        return Why("parked", text, need=need)

    def _behind(self) -> Why:
        other, caller = self._facts.behind, self._caller
        text = f"it waits for task {other or '?'}, which has the same unique key and was there before it, to end"
        if caller is not None and caller.id == other and caller.queue == self._queue:
            text += "; that is the task that waits for it: it must not"
        return Why("unique", text, behind=other)

    def _at_gate(self) -> Why:
        """At which gate it waits in its lane, and what keeps that shut."""
        facts, gate = self._facts, self._facts.gate
        if gate is None or not gate.what:
            text = "it has gone on just now, or is about to: the gates at which it waits are open; ask once more"
            return Why("position", text, position=None, of=None, workers=facts.worker_count)
        reason, text, found = words.of_gate(gate, self._queue)
        text += f"; {plural(gate.ahead, 'task is', 'tasks are')} ahead of it there"
        if gate.what == "c" and facts.has_asking:
            text += "; the task that waits for it has a slot of that itself: it must not wait for such a task"
        if paused := self._paused(is_said_apart=True):
            text += f"; {paused}"
        elif not facts.worker_count:
            text += f"; and no worker listens on queue {self._queue!r} of {self._store}"
        return Why(reason, text, key=gates.said(gate.key), ahead=gate.ahead, **found)

    def _able(self) -> list[WorkerFacts]:
        """Return the workers of its kind: a process has one for each kind of task."""
        kind = "a" if self._kind == ASYNC else "s"
        return [worker for worker in self._facts.workers if worker.kind == kind]

    # --- for itself ----------------------------------------------------------------------------------------------

    def _waits_for_itself(self) -> Why | None:
        """Inside a task: it waits for one that only its own worker could run."""
        caller, facts = self._caller, self._facts
        if caller is None or (facts.where == "held" and facts.holder != caller.worker):
            return None  # somebody else runs it
        kind, able = "a" if self._kind == ASYNC else "s", self._able()
        own = [worker for worker in able if worker.id == caller.worker]
        if not own or (kind == "s" and any(worker.held == 0 for worker in able)):
            return None
        who = f"the task that waits for it, {caller.task}[{caller.id}], "
        if kind == "a":
            text = (
                f"{who}is one of those that fill {_named(own[0])}; tasks that wait for others need room for both: "
                "raise --async-concurrency, start another worker, or do not wait"
            )
        elif len(able) == 1:
            text = (
                f"{who}holds the only free process of {_named(own[0])}; a task that waits for another needs a second "
                "one (hotqueue-worker -p 2, or -t 2), or must not wait"
            )
        else:
            text = (
                f"{who}holds one of the {len(able)} processes and threads at queue {self._queue!r}, and tasks hold all others; "
                "tasks that wait for others need more of them than there are such tasks (hotqueue-worker -p, or -t), or must not "
                "wait"
            )
        return Why("waits_for_itself", text, task=caller.task, id=caller.id, **_where(own[0]))


def _named(worker: WorkerFacts) -> str:
    return f"worker {worker.name!r}" if worker.name else f"the worker with process {worker.pid} on {worker.host}"


def _where(worker: WorkerFacts | None) -> dict[str, Any]:
    if worker is None:
        return {"worker": None, "host": None, "pid": None}
    return {"worker": worker.name or worker.id, "host": worker.host, "pid": int(worker.pid) if worker.pid.isdigit() else None}


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "?")
