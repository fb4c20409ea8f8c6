"""Why a task waits, in a sentence: what `ResultTimeout` says. Looks, and changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hotqueue import keys
from hotqueue.errors import STORE_ERRORS
from hotqueue.tasks.context import current_request
from hotqueue.tasks.rules import gates
from hotqueue.tasks.rules.options import datetime_of
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.wire.envelope import ASYNC

if TYPE_CHECKING:
    from hotqueue.store.store import Store
    from hotqueue.tasks.broker.broker import Broker, Looked

_OF_WORKERS = ("succeeded", "ended", "failed", "retried", "put_back", "parked", "lost")  # what is counted when a worker acts

# Where a task is found that had not ended when its time was up.
_SINCE_THEN = {
    "result": "it has ended just now",
    "done": "it has ended just now",
    "dead": "it has failed just now, and is in the dead list",
    "unknown": "nothing is known of it: it was never sent there, or its result has expired",
}


def explain(broker: Broker, task_id: str, looked: Looked | None = None) -> str:
    """Say what a task is waiting for.

    Args:
        looked: what is known of it, where that was just looked up.
    """
    queue, store, looked = broker.name, broker.store, looked or broker.look(task_id)
    if looked.where == "parked":
        return _parked_reason(looked.history.need, store, queue)
    if looked.where in ("held", "ready") and (why := waits_for_itself(broker, task_id, looked)):
        return why
    if looked.where == "held":
        where = "it is running" + (" in quarantine" if looked.history.width else "")
        return where + (f" (retry {looked.history.retries})" if looked.history.retries else "")
    if looked.where == "scheduled":
        when = datetime_of(looked.detail)
        again = f", after {_many(looked.history.retries, 'retry', 'retries')}" if looked.history.retries else ""
        return f"it is scheduled for {when:%Y-%m-%d %H:%M:%S} UTC{again}"
    if looked.where == "suspect":
        return _suspicion(broker, looked)
    if looked.where == "lane":
        return _blocked_reason(broker, looked)
    if looked.where != "ready":
        return f"{_SINCE_THEN.get(looked.where, 'it has just gone on')}; ask once more"
    if broker.is_in_place:
        return f"queue {queue!r} is paused, and this is inside queue.testing(): resume() runs what waits"
    workers, is_paused = broker.workers(), broker.is_paused()
    if is_paused:
        return f"queue {queue!r} is paused" + ("" if workers else f", and no worker listens on it at {store}")
    if not workers and _worked_lately(store, queue):
        return (
            f"no worker listens on queue {queue!r} of {store} just now, but one did in the last two minutes: if it is "
            "starting again, ask once more; if it was stopped, start one with hotqueue-worker"
        )
    if not workers:
        return (
            f"no worker listens on queue {queue!r} of {store} (user {_user()}); start one with hotqueue-worker, and see "
            "that it names the same database file or URL"
        )
    ahead = _many(int(looked.detail), "task is", "tasks are")
    return f"{ahead} ahead of it, and {_many(len(workers), 'worker is', 'workers are')} at them"


def _suspicion(broker: Broker, looked: Looked) -> str:
    history = looked.history
    deaths = [
        *([f"{history.deliveries} while it ran alone"] if history.deliveries else []),
        *([f"{history.shared} while it ran beside others"] if history.shared else []),
        *([f"{history.lost} that took their host along"] if history.lost else []),
    ]
    text = (
        f"it is suspected of killing its process ({_many(history.deaths, 'death', 'deaths')} so far: {', '.join(deaths)}), and "
        "waits for a quarantine process, apart from other tasks"
    )
    if broker.is_paused():
        return f"{text}; queue {broker.name!r} is paused"
    if not broker.workers():
        return f"{text}, which a worker of queue {broker.name!r} would start, but none listens there"
    return text


def _blocked_reason(broker: Broker, looked: Looked) -> str:
    """Say at which gate a task waits in its lane, and who has its slots; inside one of those, that it waits for itself."""
    limit, key = gates.read(envelope.decode(looked.envelope).gates)
    used, some = broker.slots(key)
    ahead = _many(int(looked.detail), "task is", "tasks are")
    by = f", by {', '.join(some)}{' and others' * (used > len(some))}" if some else ""  # none: they have just ended
    text = f"max_concurrency={limit} of {gates.shown(key)} is used up{by}; {ahead} ahead of it there"
    caller = current_request()
    if caller is not None and caller.queue == broker.name and broker.has_slot(key, caller.id):
        text += "; the task that waits for it has a slot of that itself: it must not wait for such a task"
    if broker.is_paused():
        return f"{text}; queue {broker.name!r} is paused"
    return text if broker.workers() else f"{text}; and no worker listens on queue {broker.name!r} of {broker.store}"


def _many(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def waits_for_itself(broker: Broker, task_id: str, looked: Looked | None = None) -> str:
    """Say, inside a task, that it waits for one that only its own worker could run; "" where that is not so."""
    caller = current_request()
    if caller is None:
        return ""
    looked = looked or broker.look(task_id)
    if looked.where == "held":
        if task_id not in broker.held(caller.worker):
            return ""  # somebody else runs it
    elif looked.where != "ready":
        return ""
    kind = "a" if looked.envelope[1] == ASYNC else "s"
    able = [each for each in broker.workers() if each.get("kind") == kind]
    own = [each for each in able if each["worker"] == caller.worker]
    if not own or (kind == "s" and any(not broker.held(each["worker"]) for each in able)):
        return ""
    who = f"the task that waits for it, {caller.task}[{caller.id}], "
    if kind == "a":
        return (
            f"{who}is one of those that fill {_named(own[0])}; tasks that wait for others need room for both: "
            "raise --async-concurrency, start another worker, or do not wait"
        )
    if len(able) == 1:
        return (
            f"{who}holds the only free process of {_named(own[0])}; a task that waits for another needs a second "
            "one (hotqueue-worker -p 2, or -t 2), or must not wait"
        )
    return (
        f"{who}holds one of the {len(able)} processes and threads at queue {broker.name!r}, and tasks hold all others; tasks "
        "that wait for others need more of them than there are such tasks (hotqueue-worker -p, or -t), or must not wait"
    )


def _named(worker: dict[str, str]) -> str:
    name = worker.get("name")
    return f"worker {name!r}" if name else f"the worker with process {worker.get('pid')} on {worker.get('host')}"


def _worked_lately(store: Store, queue: str) -> bool:
    """Tell whether a worker did anything at a queue in this minute or the one before, by the server's clock."""
    key = keys.stats(queue)
    try:
        minute = int(store.repeat(lambda: store.command(key, "TIME"))[0]) // 60
        fields = [f"{when}:{what}" for when in (minute, minute - 1) for what in _OF_WORKERS]
        return any(store.repeat(lambda: store.command(key, "HMGET", key, *fields)))
    except STORE_ERRORS:  # not worth another error than the one that is on its way
        return False


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "?")


def _parked_reason(need: str, store: Store, queue: str) -> str:
    kind, _, what = need.partition(":")
    if kind == "task":
        return (
            f"no worker of queue {queue!r} knows a task {what!r}, so it is kept for one that does; start a worker with the "
            "module that defines it, or correct the name"
        )
    if kind == "python":
        return f"it was sent by value from Python {what}, and no worker of that version listens on queue {queue!r}"
    return f"it needs a worker with {need}"
