"""What the worker's log says of a task: a sentence for people, and fields for whoever collects JSON.

Every line about a task carries `task` (where its name is known) and `task_id`, like the lines that a task itself logs (see
`context.TaskFilter`); beside them in `hotqueue_fields` what is known of this end: `seconds`, `error`, `traceback`, `retries` …
Decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hotqueue.tasks.rules.lifecycle import Action, Do, Ended, Outcome
from hotqueue.tasks.wire import exceptions, payload

if TYPE_CHECKING:
    from hotqueue.tasks.worker.prepare import Ready

log = logging.getLogger("hotqueue.worker")


def about(task_id: str, task: str = "", **fields: Any) -> dict[str, Any]:
    """Return the `extra=` of a line about a task.

    Args:
        fields: what a JSON line says besides; those that are None are left out.
    """
    kept = {name: value for name, value in fields.items() if value is not None}
    return {"task": task, "task_id": shown(task_id), "hotqueue_fields": kept}


def shown(task_id: str) -> str:
    """Return an id as it can be written anywhere."""
    return task_id.encode("utf-8", "backslashreplace").decode()


def queues(names: Iterable[str]) -> str:
    """Return some queues as the log names them: the first few, and how many more."""
    first, *others = names
    if not others:
        return f"queue {first}"
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f"queues {', '.join([first, *others[:2]])}{more}"


def succeeded(ready: Ready, seconds: float, queue: str, worker: str) -> None:
    """Say that a task returned."""
    if log.isEnabledFor(logging.DEBUG):  # every task passes here
        extra = about(ready.delivery.id, ready.name, seconds=round(seconds, 6), **_run(ready, queue, worker))
        log.debug("%s[%s] succeeded in %.3f s", ready.name, extra["task_id"], seconds, extra=extra)


def concluded(action: Action, outcome: Outcome, ready: Ready, seconds: float, queue: str, worker: str) -> None:
    """Say what became of a task that did not return."""
    name, has_run = ready.name, ready.call is not None
    what = "" if action.error is None else in_one_line(action.error)
    spent = round(seconds, 6) if has_run else None
    extra = about(ready.delivery.id, name, seconds=spent, error=what or None, **_run(ready, queue, worker))
    task_id = extra["task_id"]
    if action.do is Do.RETRY:
        why = f": {what}" if what else ", as it asked"
        extra["hotqueue_fields"]["delay"] = round(action.delay, 3)
        retry = ready.history.retries + 1
        log.warning("%s[%s] will be retried in %.1f s (retry %d)%s", name, task_id, action.delay, retry, why, extra=extra)
    elif action.do is Do.BURY:
        trace = payload.describe_error(action.error_payload)[2] if action.error_payload else None
        extra["hotqueue_fields"] |= {} if trace is None else {"traceback": trace}
        after = f" after {seconds:.3f} s" if has_run else ""
        log.error("%s[%s] failed%s: %s; kept in the dead list", name, task_id, after, what, extra=extra)
        if trace:  # a process that died raised nothing
            log.debug(
                "%s[%s]: %s",
                name,
                task_id,
                trace,
                extra=about(ready.delivery.id, name, seconds=spent, **_run(ready, queue, worker)),
            )
    elif action.do is Do.PARK:
        extra["hotqueue_fields"]["need"] = action.need
        log.warning("%s[%s] cannot run here and is kept for a worker with %s", name, task_id, action.need, extra=extra)
    elif action.do is Do.END:
        how = "was stopped" if outcome.ended is Ended.REVOKED else "ended without running"
        log.warning("%s[%s] %s: %s", name, task_id, how, what, extra=extra)
    else:
        log.debug("%s[%s]: %s", name, task_id, _ELSE.get(action.do, action.do.name.lower()), extra=extra)


def _run(ready: Ready, queue: str, worker: str) -> dict[str, Any]:
    """Return which run of a task it is, and whose; named as in the lines that tasks write."""
    history = ready.history
    return {"attempt": history.tries + 1, "retries": history.retries, "queue": queue, "worker": worker}


_ELSE = {
    Do.FORGET: "ended without a result, as it asked",
    Do.PUT_BACK: "goes back, uncharged",
    Do.REPLACE: "is replaced by the workflow that it returned",
}


def in_one_line(error: BaseException) -> str:
    """Return the name of an error's class and the first line of what it says."""
    said = exceptions.message_of(error).strip().partition("\n")[0]
    said = said if len(said) <= 300 else said[:299] + "…"
    return f"{exceptions.class_path(error)}: {said}" if said else exceptions.class_path(error)
