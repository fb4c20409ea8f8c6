"""hotqueue enqueue: sending one call of a task by its name, and waiting for its end."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion, progress, tables
from hotqueue.cli.entry import json_text, settings
from hotqueue.cli.reading import changes, json_option, known_tasks
from hotqueue.cli.settings import Seconds, Whole
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.monitor.one_task import OneTask
    from hotqueue.store.store import Store

ENDED = ("ended", "dead")


class Span(Seconds):
    """A span of time, such as 90, 90s or 15m, in seconds."""

    _what = "span of time such as 90, 90s, 15m or 2h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return its seconds."""
        from hotqueue.monitor.filters import span_of

        ms = span_of(value) if isinstance(value, str) else None
        return super().convert(value if ms is None else ms / 1000, param, ctx)

    def _bounds(self) -> str:
        return ""


@click.command(context_settings={**settings, "ignore_unknown_options": True})
@click.argument("task", shell_complete=completion.tasks)
@click.argument("arguments", nargs=-1, metavar="[ARGUMENT]... [NAME=ARGUMENT]...")
@click.option(
    "-Q",
    "--queue",
    metavar="QUEUE",
    shell_complete=completion.queues,
    help="To this queue; else to the one whose workers know it.",
)
@click.option("--countdown", type=Span(0), metavar="TIME", help="Run it in so many seconds, or 15m, 2h.")
@click.option("--expires", type=Span(0), metavar="TIME", help="Not after so many seconds, or 15m, 2h.")
@click.option("--priority", type=Whole(-100, 100), metavar="N", help="Higher ones run first.")
@click.option("--id", "task_id", metavar="ID", help="Its id: sent again with the same one, it is the same task.")
@click.option("--wait", "is_awaited", is_flag=True, help="Wait until it has ended; exit with 1 if it failed.")
@click.option("--timeout", type=Span(0), metavar="TIME", help="Wait for so long at most: seconds, or 15m, 2h.")
@json_option
@changes
def enqueue(
    store: Store,
    task: str,
    arguments: tuple[str, ...],
    queue: str | None,
    is_awaited: bool,
    timeout: float | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Send a call of TASK, such as shop.tasks.price; none of its code is needed here.

    Arguments are JSON: 4, true, '[1, 2]', '{"a": 1}'; what is none is text: ann@example.org. '"4"' is the text 4, '"-x"' is -x.
    """
    from hotqueue.monitor import finding
    from hotqueue.monitor.acting import queue_at
    from hotqueue.monitor.calls import arguments_of

    try:
        args, kwargs = arguments_of(arguments)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    name = queue if queue is not None else _queue_for(store, task)
    options = {name: value for name, value in given.items() if value is not None}
    is_new = not finding.has_trace(store, name)
    try:
        sent = queue_at(store, name).send(task, args, kwargs, **options)
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    _say_what_is_missing(store, name, task, is_new)
    if is_awaited:
        _say_end(_ended(store, name, sent.id, timeout), sent.id, as_json)
    else:
        click.echo(json_text({"id": sent.id, "queue": name}) if as_json else sent.id)


def _say_what_is_missing(store: Store, queue: str, task: str, is_new: bool) -> None:
    """Say of a call that was sent if nobody is there to run it: the queue, or the task, may be misspelt."""
    from hotqueue.errors import HotQueueError
    from hotqueue.hints import did_you_mean
    from hotqueue.monitor import calls, inventory

    with contextlib.suppress(HotQueueError):  # whoever may send, and not look
        if missing := calls.missing(store, queue, task):
            others = [name for name in inventory.queue_names(store) if name != queue] if is_new else []
            click.echo(f"hotqueue: {missing}{did_you_mean(queue, others)}", err=True)


def _queue_for(store: Store, task: str) -> str:
    """Return the queue whose workers know a task; the only one there is, where none of them does.

    Raises:
        click.UsageError: there are several, or none.
    """
    from hotqueue.hints import did_you_mean
    from hotqueue.monitor import calls, inventory

    names = inventory.queue_names(store)
    found = calls.known(store, names)
    try:
        return calls.queue_of(task, found)
    except ValueError as error:
        is_known = any(task in some for some in found.values())
        ran = [] if is_known or "did you mean" in str(error) else known_tasks(store, names)
        hint = " (any more)" if task in ran else did_you_mean(task, ran)
        said = f"{error}{hint}"
        end = " Say" if said.endswith("?") else "; say"
        raise click.UsageError(f"{said}{end} --queue to send it all the same") from None


def _ended(store: Store, queue: str, task_id: str, timeout: float | None) -> OneTask:
    with progress.shown(f"waiting for {task_id}"):
        return _waited(store, queue, task_id, timeout)


def _waited(store: Store, queue: str, task_id: str, timeout: float | None) -> OneTask:
    from hotqueue.monitor import one_task

    deadline = None if timeout is None else time.monotonic() + timeout
    pause = 0.02
    found: OneTask | None = one_task.look(store, queue, task_id)
    while found is not None and found.state not in ENDED:
        if deadline is not None and time.monotonic() >= deadline:
            raise click.ClickException(f"{task_id} has not ended within {timeout:g} s: {found.why}")
        time.sleep(pause)
        pause = min(0.5, pause * 1.5)
        found = one_task.look(store, queue, task_id)
    if found is None:
        raise click.ClickException(f"{task_id} has ended, and its result was not kept")
    return found


def _say_end(found: OneTask, task_id: str, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(found.as_json()))
    elif found.outcome == "SUCCESS":
        kept = f"{plural(found.result_bytes, 'byte')}, no plain data" if found.result_bytes >= 0 else "no result was kept"
        click.echo(tables.printable(found.result or f"{task_id} has ended: {kept}"))
    if found.outcome not in ("SUCCESS", ""):
        raise click.ClickException(f"{task_id} has ended: {found.outcome}, {found.error}: {found.message}")
