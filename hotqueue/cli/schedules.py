"""hotqueue schedules: which there are, and pausing, firing and removing one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion, progress, tables
from hotqueue.cli.entry import confirm, pass_on, settings
from hotqueue.cli.reading import changes, chosen, queues_option, reads, say_refused, yes_option
from hotqueue.cli.tables import Column

if TYPE_CHECKING:
    from hotqueue.monitor.schedules import ScheduleRow
    from hotqueue.store.store import Store
    from hotqueue.tasks.client.schedule import Schedule

_COLUMNS = (
    Column("schedule", style="bold", may_shrink=True),
    Column("queue", may_shrink=True),
    Column("task", may_shrink=True),
    Column("when"),
    Column("next"),
    Column("last", is_number=True),
    Column("by", style="dim", may_shrink=True),
)


@reads
def _list(store: Store, names: tuple[str, ...], as_json: bool) -> None:
    from hotqueue.monitor import schedules as facts

    refused: list[str] = []
    with progress.shown("asking queues for their schedules"):
        found = facts.schedules(store, chosen(store, names), refused)
    if as_json:
        for row in found:
            click.echo(tables.json_line(row.as_json()))
    else:
        tables.table(_COLUMNS, map(_cells, found))
        if not found:
            click.echo("hotqueue: there is no schedule", err=True)
    say_refused(refused)


def _cells(row: ScheduleRow) -> list[str]:
    following = "paused" if row.is_paused else tables.ago(row.next_run) or "never"
    by = ", ".join(row.declared_by[:2]) or "a program"
    return [row.name, row.queue, row.task, row.when, following, tables.ago(row.last_run), by]


@click.group(context_settings=settings, invoke_without_command=True)
@queues_option
@click.pass_context
def schedules(ctx: click.Context, /, **given: Any) -> None:
    """List the schedules: when each fires next, and what it calls; or pause, resume, trigger, remove one."""
    pass_on(ctx, given)
    if ctx.invoked_subcommand is None:
        _list(**given)


def _given_options_of_a_reader() -> None:
    """Give the group the options of its list, which is a command as well."""
    schedules.params += [each for each in click.command()(_list).params if isinstance(each, click.Option)]
    doc = "List them, as is done without a command."
    schedules.add_command(click.Command("list", settings, callback=_list, params=[*schedules.params], help=doc))


_given_options_of_a_reader()


def _about_one(act: Callable[[Schedule], str], doc: str, name: str, question: str = "") -> None:
    """Add a command about one schedule."""

    @changes
    def command(store: Store, schedule: str, names: tuple[str, ...], yes: bool = False) -> None:
        found = _found(store, schedule, names)
        if question:
            confirm(question.format(schedule), yes)
        click.echo(f"{schedule}: {act(found)}")

    made = queues_option(click.argument("schedule", shell_complete=completion.schedules)(command))
    if question:
        made = yes_option(made)
    schedules.command(name, help=doc, context_settings=settings)(made)


def _found(store: Store, name: str, names: tuple[str, ...]) -> Schedule:
    from hotqueue.hints import did_you_mean
    from hotqueue.monitor.acting import queue_at

    there = [(queue, each) for queue in chosen(store, names) for each in queue_at(store, queue).schedules()]
    meant = [(queue, each) for queue, each in there if each.name == name]
    if len(meant) == 1:
        return meant[0][1]
    if meant:
        raise click.UsageError(
            f"schedule {name!r} is in queues {', '.join(queue for queue, _ in meant)}: say which one with --queue"
        )
    raise click.UsageError(f"there is no schedule {name!r:.80} in {store}{did_you_mean(name, [each.name for _, each in there])}")


def _pause(schedule: Schedule) -> str:
    schedule.pause()
    return "paused"


def _resume(schedule: Schedule) -> str:
    schedule.resume()
    return f"resumed; it fires next {tables.moment(schedule.next_run) or 'once a worker declares it'}"


def _trigger(schedule: Schedule) -> str:
    return f"sent {schedule.trigger().id}"


def _remove(schedule: Schedule) -> str:
    schedule.remove()
    return "removed"


_about_one(_pause, "Have a schedule fire nothing until it is resumed.", "pause")
_about_one(_resume, "Have a paused schedule fire again; what passed meanwhile is not made up for.", "resume")
_about_one(_trigger, "Have what a schedule calls run now, once, whatever its times are.", "trigger")
_about_one(_remove, "Remove a schedule that no live worker declares.", "remove", "Remove schedule {}?")
