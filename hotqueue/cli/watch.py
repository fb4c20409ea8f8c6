"""hotwatch: how many items wait in each queue; with --live, all there is, full-screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion
from hotqueue.cli.entry import json_text, run, settings, version_option
from hotqueue.cli.reading import opened_store
from hotqueue.cli.settings import Number
from hotqueue.cli.store import opened, store_options
from hotqueue.monitor.words import printable

if TYPE_CHECKING:
    from hotqueue.errors import NewerQueue
    from hotqueue.monitor.inventory import Length
    from hotqueue.store.store import Store

EXTRA = "--live needs textual: pip install 'hotqueue[watch]'"


@click.command(context_settings=settings, epilog="Without a QUEUE: every queue of the store.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=completion.queues)
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--live", is_flag=True, help="Show queues, workers and tasks full-screen, and act on them; ? there says how.")
@click.option(
    "--every",
    type=Number(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks of --live.",
)
@click.option(
    "--theme",
    type=click.Choice(["terminal", "dark", "light"]),
    default="terminal",
    show_default=True,
    help="Colours of --live: the terminal's own, or others.",
)
@click.option("--no-color", is_flag=True, help="No colours in --live; $NO_COLOR says the same.")
@version_option
def hotwatch(queues: tuple[str, ...], as_json: bool, live: bool, every: float, theme: str, no_color: bool, **where: Any) -> None:
    """Print how many items wait in each QUEUE: raw messages, and tasks that no worker has taken.

    'tenant-*' is all queues that match, as for hotqueue-worker -Q.
    """
    if live:
        if as_json:
            raise click.UsageError(
                "--live and --json are two things: hotwatch --json prints once, hotqueue info --json --watch more"
            )
        _live(queues, every, theme, no_color, where)
        return
    _print(queues, as_json, where)


def _live(queues: tuple[str, ...], every: float, theme: str, no_color: bool, where: dict[str, Any]) -> None:
    """Show the monitor until somebody quits.

    Raises:
        click.ClickException: there is no terminal, or what it takes is not installed.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise click.UsageError("--live needs a terminal; without it, hotwatch prints lines")
    if no_color:
        os.environ["NO_COLOR"] = "1"
    for name in ("COLUMNS", "LINES"):  # which some shells export: the size that the terminal had then
        os.environ.pop(name, None)
    try:
        from hotqueue.watch.app import LiveApp
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise click.ClickException(EXTRA) from None
    from hotqueue.monitor import inventory

    with opened_store(where) as store:
        inventory.meant(store, queues)  # says what is wrong with a glob
        LiveApp(store, queues, every, "terminal" if "NO_COLOR" in os.environ else theme).run(mouse=False)


def _print(queues: tuple[str, ...], as_json: bool, where: dict[str, Any]) -> None:
    from hotqueue.monitor import inventory

    with opened(**where) as store:
        names, doubts = inventory.meant(store, queues) if queues else (inventory.queue_names(store), [])
        found, refusals = _lengths(store, names)
        doubts += inventory.doubts(store, [queue.name for queue in found if queues and not queue.items])
    if as_json:
        click.echo(json_text([_row(queue) for queue in found]))
    for queue in () if as_json else found:
        click.echo(printable(f"{queue.name}: {queue.items} items{_paused(queue)}"))
    if not (found or refusals or doubts):
        click.echo(f"hotwatch: there is no queue in {store}", err=True)
    for doubt in doubts:  # an empty queue is no error, and may leave no trace: so the exit code stays 0
        click.echo(f"hotwatch: {doubt}", err=True)
    for refusal in refusals:
        click.echo(f"hotwatch: {refusal}", err=True)
    sys.exit(1 if refusals else 0)


def _row(queue: Length) -> dict[str, Any]:
    row = {"name": queue.name, "items": queue.items, "messages": queue.messages, "tasks": queue.tasks}
    paused = {"paused": queue.is_paused, "paused_tasks": list(queue.paused_tasks), "paused_keys": list(queue.paused_keys)}
    return row | {name: value for name, value in paused.items() if value}


def _paused(queue: Length) -> str:
    if queue.is_paused:
        return ", paused"
    some = [*queue.paused_tasks, *(f"key {key}" for key in queue.paused_keys)]
    return f", paused: {', '.join(some)}" if some else ""


def _lengths(store: Store, names: Sequence[str]) -> tuple[list[Length], list[NewerQueue]]:
    """Return how much waits in queues, and why that of others cannot be told: one that is newer hides none of the others."""
    from hotqueue.errors import NewerQueue
    from hotqueue.monitor import inventory

    found, refusals = [], []
    for name in names:
        try:
            found.append(inventory.length(store, name))
        except NewerQueue as error:
            refusals.append(error)
    return found, refusals


def main() -> None:
    """Run the command; any mistake is one line and exit code 1."""
    run(hotwatch, "hotwatch", usage=1)
