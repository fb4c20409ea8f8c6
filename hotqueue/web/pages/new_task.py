"""A new task: a call that somebody fills into a form, sent by its name as `hotqueue enqueue` sends it; a task that ended, again.

What is wrong is said beside its field, and what was typed stays. Nothing is imported or unpickled for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hotqueue import keys
from hotqueue.errors import ConfigError, ConnectionFailed, HotQueueError
from hotqueue.hints import did_you_mean
from hotqueue.monitor import calls, one_task
from hotqueue.monitor.acting import queue_at
from hotqueue.monitor.filters import span_of
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.per_call import due_of, expiry_of
from hotqueue.tasks.client.registry import is_task_name
from hotqueue.web.page import Action, Amiss, Form, NotThere, Page, Said, View
from hotqueue.web.pages.names import busiest

FIELDS = ("task", "into", "args", "start", "expires", "priority")
QUEUES = 200  # names that are offered
SERVED = 200  # queues whose workers are asked who knows a task, where nobody says which is meant


def new_task(view: View) -> dict[str, Any]:
    """Return what the form shows: empty, or filled in as the address says."""
    if not view.may("enqueue"):
        raise NotThere("You may not send tasks here.")
    typed = {name: view.query.get(name, "") for name in FIELDS}
    typed["into"] = view.query.get("queue", "")
    note = _again(view, typed) if view.query.get("again") else ""
    return _form(view, typed, note=note)


def _again(view: View, typed: dict[str, str]) -> str:
    """Fill in the call of a task that is known; return what there is to say of it."""
    task_id, queue = view.query["again"], typed["into"]
    found = one_task.look(view.store, queue, task_id) if queue else None
    if found is None:
        raise NotThere(f"There is no task {task_id!r:.200} in queue {queue!r:.80} any more.")
    args = calls.typed_again(found.args)
    typed.update(task=found.task, args=args or "", priority=str(found.priority or ""))
    if found.is_by_value:
        return "It was sent by value, with its code; a task that is sent from here has none, so a worker has to know its name."
    if args is None:
        return (
            "Its arguments are not filled in: of what is long, sensitive or no JSON, the store has no text that says all. "
            f"They were {found.args}"
        )
    return "The call of a task, once more: a new task, with an id of its own."


def _form(
    view: View, typed: Mapping[str, str], wrong: Mapping[str, str] | None = None, doubt: str = "", nonce: str = "", note: str = ""
) -> dict[str, Any]:
    queue = typed["into"]
    is_there = bool(queue) and view.snapshots.find(queue) is not None
    queues = [queue] if is_there else busiest(view)
    names = {name for some in calls.known(view.store, queues).values() for name in some}
    names |= _names_that_ran(view, queue) if is_there else set()  # of many queues that takes long
    return {
        "typed": typed,
        "wrong": wrong or {},
        "doubt": doubt,
        "sure": _sure(typed),
        "nonce": nonce or os.urandom(12).hex(),
        "note": note,
        "tasks": sorted(names),
        "queues": [each.name for each in view.snapshot.queues][:QUEUES],
    }


def _names_that_ran(view: View, queue: str) -> set[str]:
    """Return the names of tasks that were run in a queue within a month."""
    return {series.task for series in view.history.by_task([queue], 86400, 30) if series.total.counts["started"]}


def _sure(typed: Mapping[str, str]) -> str:
    """Return what a form says of whoever has been asked, and means this task in this queue all the same."""
    return hashlib.sha256(json.dumps([typed["task"], typed["into"]]).encode()).hexdigest()[:16]


# --- sending -------------------------------------------------------------------------------------------------------------


def enqueue(view: View, form: Form) -> Said:
    """Send the call that a form says."""
    typed = {name: form.one(name).strip() for name in FIELDS}
    wrong: dict[str, str] = {}
    options = _options(typed, wrong)
    args, kwargs = _arguments(typed, wrong)
    queue, doubt = _place(view, typed, wrong)
    nonce = form.one("nonce")[:64]
    if not wrong and (not doubt or form.one("sure") == _sure(typed)):
        task_id = hashlib.sha256(json.dumps([nonce, typed]).encode()).hexdigest()[:32]
        try:
            return _sent(view, queue, typed["task"], args, kwargs, {**options, "task_id": task_id})
        except ConnectionFailed:
            raise
        except (TypeError, ValueError, HotQueueError) as error:
            wrong["all"] = str(error)
    raise Amiss(NEW, _form(view, typed, wrong, doubt, nonce))


def _sent(view: View, queue: str, task: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Said:
    """Send a call; pressed twice, a form sends one task: its id is made of what it says."""
    task_id = options["task_id"]
    is_known = Broker(view.store, queue).facts(task_id).where != "unknown"
    if not is_known:
        queue_at(view.store, queue).send(task, args, kwargs, **options)
    said = "had been sent already; begin with a new form to send it once more" if is_known else "is sent"
    which = f"task {task_id} of queue {queue}, a call of {task}"
    return Said(f"{task} {said}", which, back="/task", query={"queue": queue, "id": task_id})


def _place(view: View, typed: dict[str, str], wrong: dict[str, str]) -> tuple[str, str]:
    """Return the queue that is meant, and a doubt whether it is that, or that name: the end of a sentence."""
    task, queue = typed["task"], typed["into"]
    if not is_task_name(task):
        wrong["task"] = "a task has a name, such as shop.tasks.price, without blanks"
    if queue:
        _check_queue(view, queue, wrong)
    if "task" in wrong or "into" in wrong:
        return "", ""
    if not queue:
        return _queue_for(view, task, wrong), ""
    if view.snapshots.find(queue) is None:
        hint = did_you_mean(queue, [each.name for each in view.snapshot.queues])
        return queue, f"there is no queue {queue!r:.80} so far{hint}"
    known = calls.known(view.store, [queue])[queue] | _names_that_ran(view, queue)
    if task in known:
        return queue, ""
    return queue, f"no worker of queue {queue} knows a task {task!r:.80}, and none ran there{did_you_mean(task, known)}"


def _check_queue(view: View, queue: str, wrong: dict[str, str]) -> None:
    try:
        keys.check_name(queue)
    except ConfigError as error:
        wrong["into"] = str(error)
    else:
        if not view.shows(queue):
            wrong["into"] = f"this dashboard shows no queue {queue!r:.80}"


def _queue_for(view: View, task: str, wrong: dict[str, str]) -> str:
    """Return the queue whose workers know a task, as `hotqueue enqueue` finds it."""
    served = [queue.name for queue in view.snapshot.queues if queue.workers]
    found = calls.known(view.store, served[:SERVED])
    try:
        return calls.queue_of(task, found)
    except ValueError as error:
        is_several = any(task in names for names in found.values())
        end = " Say" if str(error).endswith("?") else "; say"
        wrong["into" if is_several else "task"] = f"{error}{end} which queue it is for"
    return ""


def _arguments(typed: Mapping[str, str], wrong: dict[str, str]) -> calls.Arguments:
    try:
        return calls.arguments_in(typed["args"])
    except ValueError as error:
        wrong["args"] = str(error)
    return [], {}


def _options(typed: Mapping[str, str], wrong: dict[str, str]) -> dict[str, Any]:
    """Return the options of the call."""
    options: dict[str, Any] = {}
    try:
        if (start := _time(typed["start"])) is not None:
            options["eta" if isinstance(start, datetime) else "countdown"] = start
            due_of(options.get("countdown"), options.get("eta"), "a task:")
    except (TypeError, ValueError) as error:
        wrong["start"] = str(error)
    try:
        if (expires := _time(typed["expires"])) is not None:
            options["expires"] = expires
            expiry_of(expires, "a task:")
    except (TypeError, ValueError) as error:
        wrong["expires"] = str(error)
    if priority := typed["priority"]:
        try:
            options["priority"] = int(priority[:10])
        except ValueError:
            pass
        if not -100 <= options.get("priority", 101) <= 100:
            wrong["priority"] = f"{priority!r:.80} is no whole number from -100 to 100"
    return options


def _time(text: str) -> float | datetime | None:
    """Return a span in seconds, or an instant, that somebody types; None for nothing.

    Raises:
        ValueError: it is neither.
    """
    if not text:
        return None
    if (span := span_of(text)) is not None:
        return span / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r:.80} is no time: write 90s, 15m, 2h or 7d, or 2030-01-31 12:00, which is UTC") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


NEW = Page("/new", "New task", "new_task.html", new_task, "Tasks")
PAGES = (NEW,)
ACTIONS = (Action("enqueue", "enqueue", enqueue),)
