"""hotqueue tasks, show, why: lists of tasks by their state, and one task with all that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from hotqueue.cli import progress, tables
from hotqueue.cli.entry import json_text, settings
from hotqueue.cli.filtering import filter_options, meant_instead, wanted_of
from hotqueue.cli.reading import chosen, located, queues_option, reads, say_refused
from hotqueue.cli.settings import Whole
from hotqueue.cli.statistics import seconds
from hotqueue.cli.tables import Column
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.monitor.one_task import OneTask
    from hotqueue.monitor.tasks import Row, Search
    from hotqueue.store.store import Store

STATES = ("running", "waiting", "retrying", "scheduled", "parked", "dead", "ended")

_COLUMNS = (
    Column("id", style="cyan"),
    Column("task", style="bold", may_shrink=True),
    Column("queue", may_shrink=True),
    Column("state"),
    Column("age", is_number=True),
    Column("attempts", is_number=True),
    Column("arguments", may_shrink=True),
    Column("note", style="dim", may_shrink=True),
)


@click.command(context_settings=settings)
@click.argument("state", required=False, type=click.Choice(STATES))
@filter_options
@click.option("--limit", type=Whole(1), default=20, show_default=True, metavar="N", help="Show no more than N.")
@click.option("--look-at", type=Whole(1), default=10_000, show_default=True, metavar="N", help="Look at no more than N for it.")
@reads
def tasks(store: Store, state: str | None, names: tuple[str, ...], limit: int, look_at: int, as_json: bool, **given: str) -> None:
    """List tasks in STATE: running, waiting, retrying, scheduled, parked, dead or ended; without one, in any but ended.

    waiting: ready, at a gate, paused, or behind others. parked: no worker can run it so far.
    """
    from hotqueue.monitor.tasks import Search

    search, queues = Search(wanted_of(**given), limit, look_at), chosen(store, names)
    with progress.shown("looking for tasks", lambda: f"{search.looked:,} looked at"):
        rows = list(search.rows(store, queues, [state] if state else None))
    if as_json:
        for row in rows:
            click.echo(tables.json_line(row.as_json()))
    else:
        tables.table(_COLUMNS, _cells(rows))
    _say_what_is_left(search, len(rows), lambda: meant_instead(store, queues, search.wanted))
    say_refused(search.refused)


def _cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    for row in rows:
        if row.state == "ended":
            yield _ended(row)
            continue
        due = f"due {tables.ago(row.due)}" if row.due else ""
        note = ", ".join(each for each in (due, row.error or ("" if due else row.how)) if each)
        at = tables.ago(row.died or row.sent)
        yield [row.id, row.task, row.queue, row.state, at, str(row.attempts or ""), row.args, note]


def _ended(row: Row) -> list[str]:
    took = "" if row.run is None else f" in {seconds(row.run)}"
    note = f"{row.outcome}{took}{': ' + row.error if row.error else ''}"
    return [row.id, row.task, row.queue, row.state, tables.ago(row.ended), str(row.attempts or ""), row.args, note]


def _say_what_is_left(search: Search, shown: int, hint: Callable[[], str]) -> None:
    if search.is_cut:
        text = f"looked at {plural(search.looked, 'task')}, and stopped there; --look-at N looks at more, -Q and a state at fewer"
        click.echo(f"hotqueue: {text}", err=True)
    elif search.has_more:
        click.echo(f"hotqueue: there are more than these {shown}; --limit N shows more", err=True)
    elif not shown and not search.refused:
        click.echo(
            f"hotqueue: there is no task{hint()}" if search.wanted.is_any else f"hotqueue: there is no such task{hint()}",
            err=True,
        )


@click.command(context_settings=settings)
@click.argument("task_id", metavar="ID")
@queues_option
@reads
def show(store: Store, task_id: str, names: tuple[str, ...], as_json: bool) -> None:
    """Show all that is known of one task: arguments, what happened when, who has it, why it waits, its error, its workflow."""
    from hotqueue.monitor import one_task

    found = one_task.look(store, located(store, task_id, names), task_id)
    if found is None:
        raise click.UsageError(f"there is no task {task_id!r:.200} any more")
    if as_json:
        click.echo(json_text(found.as_json()))
        return
    tables.facts(_facts(found))
    if found.traceback:
        click.echo()
        for line in found.traceback.splitlines():
            click.echo(tables.printable(line))


def _facts(task: OneTask) -> list[tuple[str, str]]:
    outcome = task.state if task.state != "ended" else f"ended, {task.outcome or 'and its result was not kept'}"
    marks = {"async": task.is_async, "by value": task.is_by_value, "signed": task.is_signed}
    held = task.held_by
    progress = task.progress
    return [
        ("task", f"{task.task}({task.args})"),
        ("id", task.id),
        ("queue", task.queue),
        ("state", outcome),
        ("why", task.why),
        ("held by", f"{held['worker']} (process {held['pid']} on {held['host']})" if held else ""),
        (
            "progress",
            f"{progress.get('done')}/{progress.get('total')} {progress.get('message') or ''}".strip() if progress else "",
        ),
        ("priority", str(task.priority or "")),
        ("attempts", str(task.attempts or "")),
        ("deaths", str(task.deliveries or "")),
        ("expires", tables.moment(task.expires)),
        ("options", ", ".join(f"{name}={value!r}" for name, value in task.options.items())),
        ("headers", ", ".join(f"{name}={value!r}" for name, value in task.headers.items())),
        ("sent as", ", ".join(name for name, is_so in marks.items() if is_so)),
        ("result", task.result or (plural(task.result_bytes, "byte") if task.result_bytes >= 0 else "")),
        ("error", f"{task.error}: {task.message}" if task.error else ""),
        ("timeline", "\n".join(f"{tables.moment(e.at):23}  {e.what}{': ' + e.text if e.text else ''}" for e in task.timeline)),
        ("log", _log(task)),
        ("workflow", _workflow(task)),
    ]


def _log(task: OneTask) -> str:
    before = [f"{plural(task.log_dropped, 'line')} before these not kept"] if task.log_dropped else []
    return "\n".join(before + [f"{tables.moment(each.at):23}  {each.text}" for each in task.log])


def _workflow(task: OneTask) -> str:
    if task.workflow is None:
        return ""
    around = [
        f"{word} {', '.join(each['task'] + '[' + each['id'] + ']' for each in some[:5])}{' …' * (len(some) > 5)}"
        for word, some in (("behind", task.workflow["parents"]), ("before", task.workflow["children"]))
        if some
    ]
    return "\n".join([f"{task.workflow['id']}, {plural(task.workflow['steps'], 'step')}", *around])


@click.command(context_settings=settings)
@click.argument("task_id", metavar="ID")
@queues_option
@reads
def why(store: Store, task_id: str, names: tuple[str, ...], as_json: bool) -> None:
    """Say why a task waits, or what else there is to say of it, in a sentence."""
    from hotqueue.monitor import answers

    found = answers.why(store, located(store, task_id, names), task_id)
    click.echo(json_text(found) if as_json else tables.printable(found["text"]))
