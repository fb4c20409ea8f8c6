"""hotqueue stats, deploy: what happened to tasks, by name or span by span; and marking a deploy among it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion, tables
from hotqueue.cli.entry import settings
from hotqueue.cli.reading import changes, chosen, queues_option, reads, say_refused
from hotqueue.cli.settings import Whole
from hotqueue.cli.tables import Column
from hotqueue.hints import did_you_mean

if TYPE_CHECKING:
    from hotqueue.monitor.statistics import Histogram, Series, Span
    from hotqueue.store.store import Store

STEPS = {"minute": 60, "hour": 3600, "day": 86400}
MOST = {"minute": 120, "hour": 744, "day": 365}  # spans that are kept
_NUMBERS = ("enqueued", "started", "succeeded", "failed", "retried", "lost", "parked")
_TIMES = tuple(Column(name, is_number=True) for name in ("run p50", "run p95", "wait p50", "wait p95", "attempts"))
_COUNTED = (*(Column(name, is_number=True) for name in _NUMBERS), *_TIMES)
_BY_TASK = (Column("task", style="bold", may_shrink=True), Column("queue", may_shrink=True), *_COUNTED)
_BY_SPAN = (Column("since", style="bold"), Column("queue", may_shrink=True), *_COUNTED)


@click.command(context_settings=settings)
@click.option("--task", default="", metavar="NAME", shell_complete=completion.tasks, help="Of tasks of this name only.")
@click.option("--per", type=click.Choice(list(STEPS)), default="minute", show_default=True, help="How long a span is.")
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
    from hotqueue.monitor import finding, statistics

    queues, refused = chosen(store, names), list[str]()
    if has_deploys:
        _deploys(store, queues, as_json)
        return
    last = min(last, MOST[per])

    def read(queue: str) -> list[Series]:
        found = [statistics.series(store, queue, task, STEPS[per], last)]
        return found if task or is_by_span else found + statistics.by_task(store, queue, STEPS[per], last)

    rows = [_numbered(each, is_by_span) for some in finding.each(queues, read, refused) for each in some]
    found = [row for some in rows for row in some]
    if as_json:
        for each, span in found:
            click.echo(tables.json_line(_as_json(each, span, 1 if is_by_span else last)))
    else:
        cells = [_cells(each, span, is_by_span) for each, span in found if is_by_span or any(span.counts.values())]
        tables.table(_BY_SPAN if is_by_span else _BY_TASK, cells)
        if not any(any(span.counts.values()) for _, span in found):
            hint = _meant_instead(store, queues, task)
            click.echo(f"hotqueue: nothing has happened in the last {last} {per}s{hint}", err=True)
    say_refused(refused)


def _meant_instead(store: Store, queues: list[str], task: str) -> str:
    from hotqueue.monitor import finding

    known = finding.known_tasks(store, queues) if task else []
    return "" if task in known else did_you_mean(task, known)


def _numbered(series: Series, is_by_span: bool) -> list[tuple[Series, Span]]:
    return [(series, span) for span in series.spans] if is_by_span else [(series, series.total)]


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


def _as_json(series: Series, span: Span, spans: int) -> dict[str, Any]:
    about = {"queue": series.queue, "task": series.task or None, "since": span.at.isoformat(), "seconds": series.step * spans}
    histograms = {"run": span.run, "wait": span.wait, "attempts": span.attempts}
    return {**about, **span.counts, **{name: _histogram(each) for name, each in histograms.items()}}


def _histogram(histogram: Histogram) -> dict[str, Any]:
    quantiles = {f"p{round(100 * q)}": histogram.quantile(q) for q in (0.5, 0.95, 0.99)}
    return {"count": histogram.count, "total": histogram.total, "mean": histogram.mean, **quantiles}


def _deploys(store: Store, queues: list[str], as_json: bool) -> None:
    from hotqueue.monitor import statistics

    found = [(queue, mark) for queue in queues for mark in statistics.deploys(store, queue)]
    if as_json:
        for queue, mark in found:
            at = mark.at.isoformat(timespec="milliseconds")
            click.echo(tables.json_line({"queue": queue, "at": at, "version": mark.version, "who": mark.who}))
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
