"""hotqueue stats, deploy: what happened to tasks, by name or span by span; and marking a deploy among it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion, progress, tables
from hotqueue.cli.entry import settings
from hotqueue.cli.reading import changes, chosen, known_tasks, queues_option, reads, say_refused
from hotqueue.cli.settings import Whole
from hotqueue.cli.tables import Column
from hotqueue.hints import did_you_mean

if TYPE_CHECKING:
    from hotqueue.monitor.statistics import Series, Span
    from hotqueue.store.store import Store

PER = ("minute", "hour", "day")
_NUMBERS = ("enqueued", "started", "succeeded", "failed", "retried", "lost", "parked")
_TIMES = tuple(Column(name, is_number=True) for name in ("run p50", "run p95", "wait p50", "wait p95", "attempts"))
_COUNTED = (*(Column(name, is_number=True) for name in _NUMBERS), *_TIMES)
_BY_TASK = (Column("task", style="bold", may_shrink=True), Column("queue", may_shrink=True), *_COUNTED)
_BY_SPAN = (Column("since", style="bold"), Column("queue", may_shrink=True), *_COUNTED)


@click.command(context_settings=settings)
@click.option("--task", default="", metavar="NAME", shell_complete=completion.tasks, help="Of tasks of this name only.")
@click.option("--per", type=click.Choice(PER), default="minute", show_default=True, help="How long a span is.")
@click.option("--last", type=Whole(1), default=60, show_default=True, metavar="N", help="Of the last N spans.")
@click.option("--spans", "is_by_span", is_flag=True, help="Show each span, not each task.")
@click.option("--deploys", "has_deploys", is_flag=True, help="List the deploys that were marked, and nothing else.")
@queues_option
@reads
def stats(
    store: Store, names: tuple[str, ...], task: str, per: str, last: int, is_by_span: bool, has_deploys: bool, as_json: bool
) -> None:
    """Show what happened to the tasks of each queue: how many came, ran and failed, how long they ran and waited.

    Minutes are kept for two hours, hours for a month, days for a year.
    """
    from hotqueue.monitor import answers

    queues, refused = chosen(store, names), list[str]()
    if has_deploys:
        _deploys(store, queues, as_json)
        return
    with progress.shown("reading statistics"):
        found = list(answers.counted(store, queues, refused, task, per, last, is_by_span))
    if as_json:
        for row in found:
            click.echo(tables.json_line(answers.counts(*row)))
    else:
        cells = [_cells(each, span, is_by_span) for each, span, _ in found if is_by_span or any(span.counts.values())]
        tables.table(_BY_SPAN if is_by_span else _BY_TASK, cells)
    if not any(any(span.counts.values()) for _, span, _ in found) and (task or not as_json):
        hint = _meant_instead(store, queues, task)
        whose = f" to a task {task!r:.80}" if task else ""
        spans = f"{min(last, answers.MOST[per])} {per}s" if last > 1 else per
        click.echo(f"hotqueue: nothing has happened{whose} in the last {spans}{hint}", err=True)
    say_refused(refused)


def _meant_instead(store: Store, queues: list[str], task: str) -> str:
    known = known_tasks(store, queues) if task else []
    return "" if task in known else did_you_mean(task, known)


def _cells(series: Series, span: Span, is_by_span: bool) -> list[str]:
    first = tables.moment(span.at).removesuffix(" UTC") if is_by_span else series.task or "all"
    mean = span.attempts.mean
    times = [seconds(histogram.quantile(q)) for histogram in (span.run, span.wait) for q in (0.5, 0.95)]
    counts = [str(span.counts[what] or "") for what in _NUMBERS]
    return [first, series.queue, *counts, *times, "" if mean is None else f"{mean:.2f}"]


def seconds(value: float | None) -> str:
    """Return a duration as people read it: ``340µs``, ``12ms``, ``1.5s``, ``3m``."""
    if value is None:
        return ""
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if value < 1000 * size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}s" if value < 120 else tables.span(value)


def _deploys(store: Store, queues: list[str], as_json: bool) -> None:
    from hotqueue.monitor import answers

    found = answers.deploys(store, queues)
    if as_json:
        for queue, mark in found:
            click.echo(tables.json_line(answers.deploy(queue, mark)))
        return
    columns = (Column("at"), Column("version", style="bold", may_shrink=True), Column("queue"), Column("by", style="dim"))
    tables.table(columns, _marks(found))
    if not found:
        click.echo("hotqueue: no deploy was marked", err=True)


def _marks(found: list[tuple[str, Any]]) -> Iterator[list[str]]:
    for queue, mark in found:
        yield [tables.moment(mark.at), mark.version, queue, mark.who]


@click.command(context_settings=settings)
@click.argument("version", metavar="VERSION")
@queues_option
@changes
def deploy(store: Store, version: str, names: tuple[str, ...]) -> None:
    """Mark that VERSION of your code is deployed now, to be seen beside what happens; in all queues if none is named."""
    from hotqueue.tasks.broker.statistics import Statistics

    if not version.strip() or not version.isprintable() or len(version) > 200:
        raise click.UsageError(f"VERSION is one line of text, of at most 200 characters, such as v1.2.3, not {version!r:.80}")
    queues = chosen(store, names)
    for queue in queues:
        Statistics(store, queue).deploy(version, _who())
    if not queues:
        raise click.UsageError(f"there is no queue in {store} to mark it in; name one with -Q once it has tasks")
    click.echo(f"{version}: marked in {', '.join(queues[:5])}{f' and {len(queues) - 5} more' * (len(queues) > 5)}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "hotqueue deploy"
