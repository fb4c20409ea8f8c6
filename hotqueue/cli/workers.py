"""hotqueue workers: which there are, and what each runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import tables
from hotqueue.cli.entry import settings
from hotqueue.cli.reading import chosen, queues_option, reads
from hotqueue.cli.tables import Column

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
_KINDS = {"s": "sync", "a": "async", "x": "suspects"}


@click.command(context_settings=settings)
@queues_option
@reads
def workers(store: Store, names: tuple[str, ...], as_json: bool) -> None:
    """List the workers: where each is, since when, how much memory it takes (on this host), and what it has in hand."""
    from hotqueue.monitor import workers as facts

    found = facts.workers(store, chosen(store, names))
    if as_json:
        for each in found:
            click.echo(tables.json_line(each.as_json()))
        return
    tables.table(_COLUMNS, map(_cells, found))
    if not found:
        click.echo(f"hotqueue: there is no worker at {store}", err=True)


def _cells(worker: Any) -> list[str]:
    runs = ", ".join(map(str, worker.in_hand[:3])) + (f" and {len(worker.in_hand) - 3} more" if len(worker.in_hand) > 3 else "")
    queues = ", ".join(worker.queues[:3]) + (f" and {len(worker.queues) - 3} more" if len(worker.queues) > 3 else "")
    up = f"{tables.ago(worker.since)}{', overdue' if worker.is_overdue else ''}"
    where = f"{worker.name} ({worker.host})" if worker.name else worker.host
    return [
        *(where, str(worker.pid), _KINDS.get(worker.kind, worker.kind), up, tables.size(worker.memory_bytes)),
        *(f"{worker.version} py{worker.python}".strip(), queues, runs),
    ]
