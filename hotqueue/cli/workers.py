"""hotqueue workers: which there are, and what each runs; telling one to stop, or to take nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion, progress, tables
from hotqueue.cli.entry import confirm, settings
from hotqueue.cli.reading import chosen, queues_option, reads, say_refused, yes_option
from hotqueue.cli.tables import Column
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.store.store import Store

_COLUMNS = (
    Column("worker", style="bold", may_shrink=True),
    Column("process", is_number=True),
    Column("kind"),
    Column("up", is_number=True),
    Column("memory", is_number=True),
    Column("version"),
    Column("queues", may_shrink=True),
    Column("runs", may_shrink=True),
)
_TOLD = {"stop": "stop", "quiet": "be quiet; it is listed until what it runs has ended: stop it then where it runs"}
_KINDS = {"s": "sync", "a": "async", "x": "suspects"}


@click.command(context_settings=settings)
@queues_option
@click.option("--stop", metavar="NAME", shell_complete=completion.workers, help="Have this one finish what it runs, and end.")
@click.option(
    "--quiet", metavar="NAME", shell_complete=completion.workers, help="Have this one finish what it runs, and take nothing more."
)
@yes_option
@reads
def workers(store: Store, names: tuple[str, ...], stop: str | None, quiet: str | None, yes: bool, as_json: bool) -> None:
    """List the workers: where each is, since when, how much memory it takes (on this host), and what it has in hand.

    NAME is what it was started with (--name), else host:process as listed; or a glob, such as 'web-*' or '*'. All processes of
    those hotqueue-workers are meant.
    """
    from hotqueue.monitor import workers as facts

    if stop is not None and quiet is not None:
        raise click.UsageError("--stop and --quiet are two things: say it once for each")
    if (told := stop if stop is not None else quiet) is not None:
        _tell(store, told, names, "stop" if stop is not None else "quiet", yes)
        return
    refused: list[str] = []
    with progress.shown("asking queues for their workers"):
        found = facts.workers(store, chosen(store, names), refused)
    if as_json:
        for each in found:
            click.echo(tables.json_line(each.as_json()))
    else:
        tables.table(_COLUMNS, map(_cells, found))
        if not found:
            click.echo(f"hotqueue: there is no worker at {store}", err=True)
    say_refused(refused)


def _cells(worker: Any) -> list[str]:
    runs = ", ".join(map(str, worker.in_hand[:3])) + (f" and {len(worker.in_hand) - 3} more" if len(worker.in_hand) > 3 else "")
    queues = ", ".join(worker.queues[:3]) + (f" and {len(worker.queues) - 3} more" if len(worker.queues) > 3 else "")
    up = f"{tables.ago(worker.since)}{', overdue' if worker.is_overdue else ''}"
    where = f"{worker.name} ({worker.host})" if worker.name else worker.host
    return [
        *(where, str(worker.pid), _KINDS.get(worker.kind, worker.kind), up, tables.size(worker.memory_bytes)),
        *(f"{worker.version} py{worker.python}".strip(), queues, runs),
    ]


def _tell(store: Store, name: str, names: tuple[str, ...], verb: str, yes: bool) -> None:
    """Have a program of workers stop, or take nothing more.

    Raises:
        click.UsageError: there is none of this name.
    """
    from hotqueue.hints import did_you_mean
    from hotqueue.monitor import acting
    from hotqueue.monitor import workers as facts
    from hotqueue.tasks.rules import globs

    found = facts.workers(store, chosen(store, names))
    named = [each for each in found if name in (each.shown, f"{each.host}:{each.pid}", each.program, each.id)]
    if not named:
        globs.check(name, f"--{verb}")
    meant: dict[str, list[Any]] = {}
    for each in named or [each for each in found if globs.matches(name, each.shown)]:
        meant.setdefault(each.program, []).append(each)
    if not meant:
        raise click.UsageError(f"there is no worker {name!r:.80} at {store}{did_you_mean(name, {each.shown for each in found})}")
    count = sum(map(len, meant.values()))
    does = (
        "finish what it runs, and end" if verb == "stop" else "finish what it runs, and take nothing more, until it is restarted"
    )
    confirm(f"Have {name} ({plural(count, 'worker')} in {plural(len(meant), 'program')}) {does}?", yes)
    with progress.shown(f"telling {name}"):
        deaf = acting.order_each(store, meant, verb)
    if len(deaf) < len(meant):
        click.echo(f"{name}: told to {_TOLD[verb]}")
    if deaf:
        what = "it is no hotqueue-worker, or does not run any more"
        raise click.ClickException(f"{', '.join(deaf)} did not answer within {acting.ORDER_LASTS:g} s: {what}")
