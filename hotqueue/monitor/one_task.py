"""One task, with all that the store knows of it: its arguments as text, what happened to it and when, who has it, why it waits.

Reads only. Nothing is unpickled: of a result there is how large it is, of an error its texts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from hotqueue import keys, moved
from hotqueue.errors import SerializationError
from hotqueue.monitor import ended
from hotqueue.monitor.row import attempts_of, moment_of
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.facts import Facts, WorkerFacts
from hotqueue.tasks.client.explain import Explaining
from hotqueue.tasks.client.words import time_text
from hotqueue.tasks.rules.history import History, json_object
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.rules.why import Why
from hotqueue.tasks.wire import record
from hotqueue.tasks.wire.account import Told
from hotqueue.tasks.wire.plain_value import plain_text
from hotqueue.tasks.wire.preview import Preview, error_texts, preview
from hotqueue.tasks.wire.run_reports import Lines
from hotqueue.tasks.workflow import graph

READ = 256 * 1024  # bytes of a result that are read, for the texts of an error: they are in front
_ENDED = ("result", "done", "dead")
_MAY_BE_TOLD = ("unknown", "result", "done")  # among the tasks that have ended
_OUTCOMES = {"succeeded": "SUCCESS", "failed": "FAILURE", "revoked": "REVOKED", "expired": "REVOKED"}
_STATES = {"held": "running", "ready": "waiting", "suspect": "waiting", "lane": "waiting", "waits": "waiting"}


@dataclass(frozen=True)
class Event:
    """Something that happened to a task.

    Attributes:
        what: "sent", "failed", "lost", … as the history has it; "running", or how it ended.
    """

    at: datetime | None
    what: str
    text: str = ""


@dataclass(frozen=True)
class Logged:
    """A line that a task logged.

    Attributes:
        attempt: in which run of the task, from 1.
    """

    at: datetime | None
    attempt: int
    text: str


@dataclass
class OneTask:
    """A task.

    Attributes:
        state: as of filters.STATES; or "ended", and then `outcome` says how.
        why: why it waits, or what else there is to say, in a sentence; `reason` in a word.
        started, run: of its last run, if it has ended: when it began, and for how many seconds it ran; `worker`: whose it was.
        attempts: how often it was started, as far as anybody knows, the run that goes on included.
        held_by: who has it in hand: worker, host, pid.
        result: its result as text, where that is plain data; `result_bytes`: how large it is, -1 where there is none.
        error: class path of what ended it; message and traceback.
        timeline: what happened, in order.
        log: the last lines that it logged; `log_dropped`: how many there were before them.
        workflow: of which it is a step: its id, how many steps there are, and this one's `parents` and `children`.
    """

    id: str
    queue: str
    task: str = "?"
    state: str = ""
    outcome: str = ""
    args: str = ""
    priority: int = 0
    sent: datetime | None = None
    due: datetime | None = None
    expires: datetime | None = None
    started: datetime | None = None
    run: float | None = None
    worker: str = ""
    ended: datetime | None = None
    retries: int = 0
    deliveries: int = 0
    attempts: int = 0
    is_async: bool = False
    is_by_value: bool = False
    is_signed: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    why: str = ""
    held_by: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    result: str = ""
    result_bytes: int = -1
    error: str = ""
    message: str = ""
    traceback: str = ""
    timeline: list[Event] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)
    log_dropped: int = 0
    workflow: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints of it."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def look(store: Store, queue: str, task_id: str) -> OneTask | None:
    """Return what a queue knows of a task; None if that is nothing."""
    broker = Broker(store, queue)
    facts = broker.facts(task_id)
    told = ended.find(store, queue, task_id) if facts.where in _MAY_BE_TOLD else None
    if facts.where == "unknown" and told is None:
        return None
    reason = _reason(broker, facts, told)
    task = OneTask(task_id, queue, reason=reason.reason, why=str(reason), state=_state_of(facts))
    dead = broker.dead_record(task_id) if facts.where in _ENDED else None
    history = facts.history
    if dead is not None:
        head, _, body = dead.partition(b"\n")
        history = _take_dead(task, json_object(head) or {})
        _take_call(task, preview(body))
        task.ended = moment_of(_died(broker, task_id))
    elif facts.envelope:
        _take_call(task, preview(facts.envelope))
    task.retries, task.deliveries, task.expires = history.retries, history.deliveries, moment_of(history.expires or 0)
    task.attempts = attempts_of(history.tries, task.error) if dead is not None else history.tries + (facts.where == "held")
    task.due = moment_of(facts.detail) if facts.where == "scheduled" else None
    if facts.where == "held":
        task.held_by = _holder(facts)
        task.progress = _progress(broker, task_id)
    if facts.where == "result":
        _take_record(task, broker, task_id)
    if told is not None:
        _take_told(task, told)
        history.errors = history.errors or list(told.past)
    task.timeline = _timeline(task, history, reason)
    task.workflow = _workflow(broker, task_id)
    lines = Lines(broker.logged(task_id))
    task.log, task.log_dropped = [Logged(moment_of(at), attempt, text) for at, attempt, text in lines.all], lines.dropped
    return task


def why(broker: Broker, task_id: str) -> Why:
    """Return why a task waits, or what else there is to say of it."""
    facts = broker.facts(task_id)
    told = ended.find(broker.store, broker.name, task_id) if facts.where in ("unknown", "done") else None
    return _reason(broker, facts, told)


def _reason(broker: Broker, facts: Facts, told: Told | None) -> Why:
    """Return why a task waits; of one whose result is gone, or was not kept, what is told of its end."""
    if told is None or facts.where == "result":
        return Explaining(broker, facts, None).why()
    state, at = _OUTCOMES.get(told.what, told.what), told.at * 1000
    text = f"it has ended: {state}, at {time_text(at)}; its result is no longer there, or was not kept"
    return Why("done", text, state=state, at=datetime_of(at))


def _state_of(facts: Facts) -> str:
    if facts.where in _ENDED:
        return "ended"
    if facts.where == "scheduled":
        return "retrying" if facts.history.retries else "scheduled"
    if facts.where == "parked" and (facts.history.need == "unique" or facts.history.need.startswith("paused:")):
        return "waiting"
    return _STATES.get(facts.where, facts.where)


def _take_call(task: OneTask, call: Preview) -> None:
    task.task, task.args, task.priority, task.sent = call.task, call.args, call.priority, moment_of(call.created)
    task.is_async, task.is_by_value, task.is_signed = call.is_async, call.is_by_value, call.is_signed
    task.options, task.headers = call.options, call.headers


def _take_dead(task: OneTask, head: dict[str, Any]) -> History:
    """Take in what a dead task's record says; return its history."""
    task.state, task.outcome = "dead", "FAILURE"
    task.error, task.message, task.traceback = (str(head.get(name, "")) for name in ("error", "message", "traceback"))
    task.error = moved.today(task.error)
    errors = head.get("errors")
    kept = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    counts = {ours: head.get(its, 0) for ours, its in (("shared", "shared_deaths"), ("lost", "hosts_lost"))}
    return History(head.get("retries", 0), head.get("deliveries", 0), errors=kept, **counts)


def _take_told(task: OneTask, told: Told) -> None:
    """Take in what was told of a task that has ended: its call, and how that run was; of the rest what is not known otherwise."""
    _take_call(task, preview(told.head))
    task.attempts = max(task.attempts, told.attempts)
    task.state, task.retries = task.state if task.state == "dead" else "ended", max(task.retries, told.tries)
    task.started, task.run, task.worker = moment_of(told.began * 1000), told.took if told.began else None, told.worker
    task.outcome = task.outcome or _OUTCOMES.get(told.what, "")
    task.ended = task.ended or moment_of(told.at * 1000)
    if told.error and not task.error:
        task.error, _, task.message = told.error.partition(": ")


def _died(broker: Broker, task_id: str) -> float:
    key = keys.dead(broker.name)
    found = broker.store.repeat(lambda: broker.store.command(key, "ZSCORE", key, task_id))
    return float(found or 0)


def _take_record(task: OneTask, broker: Broker, task_id: str) -> None:
    """Take in how it ended."""
    key = keys.result(broker.name, task_id)
    store = broker.store
    data: bytes = store.repeat(lambda: store.command(key, "GETRANGE", key, 0, READ - 1)) or b""
    size = int(store.repeat(lambda: store.command(key, "STRLEN", key)))
    ended = record.glimpse(data[:64])
    if ended is None:
        return
    task.outcome, task.ended = ended[0].value, moment_of(ended[1])
    if task.outcome == "SUCCESS":
        task.result_bytes = max(0, size - record.HEAD_BYTES)
        task.result = plain_text(data[record.HEAD_BYTES :]) or ""
    elif not task.error and (texts := error_texts(data[record.HEAD_BYTES :])):
        task.error, task.message, task.traceback = texts


def _holder(facts: Facts) -> dict[str, Any] | None:
    holder: WorkerFacts | None = next((each for each in facts.workers if each.id == facts.holder), None)
    if holder is None:
        return None
    return {"worker": holder.name or holder.id, "id": holder.id, "host": holder.host, "pid": holder.pid}


def _progress(broker: Broker, task_id: str) -> dict[str, Any] | None:
    key = keys.progress(broker.name, task_id)
    found = broker.store.repeat(lambda: broker.store.command(key, "GET", key))
    return json_object(found) if found else None


def _timeline(task: OneTask, history: History, reason: Why) -> list[Event]:
    events = [Event(task.sent, "sent")] if task.sent else []
    for error in history.errors:
        at = error.get("at")
        when = moment_of(at) if isinstance(at, int | float) else None
        events.append(Event(when, str(error.get("kind", "error")), str(error.get("error", ""))))
    if since := reason.facts.get("since"):
        events.append(Event(since, reason.reason))
    if task.started is not None:
        is_last = bool(task.state == "dead" and history.errors)  # its last error came of the run that was started last
        start = Event(task.started, "started", f"on {task.worker}" if task.worker else "")
        events.insert(len(events) - is_last, start)
    if task.due is not None:
        events.append(Event(task.due, "due"))
    if task.ended is not None:
        events.append(Event(task.ended, task.outcome.lower() or "ended", task.error))
    return events


def _workflow(broker: Broker, task_id: str) -> dict[str, Any] | None:
    """Return where in a workflow it stands."""
    for known_as in dict.fromkeys((task_id, task_id.rpartition("-")[0])):
        data = broker.workflow(known_as) if known_as else None
        if data is None:
            continue
        try:
            found = graph.decode(known_as, data)
        except SerializationError:
            return None
        number = found.number(task_id)
        if number is None:
            return None
        named = [{"id": found.ids[n], "task": found.tasks[n]} for n in range(len(found.ids))]
        around = {"parents": found.parents(number), "children": found.children(number)}
        return {"id": known_as, "steps": len(named), **{what: [named[n] for n in some] for what, some in around.items()}}
    return None


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
