"""hotqueue upgrade: taking queues to the schema of this version, once nothing older is to work with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion
from hotqueue.cli.entry import confirm, json_text, settings
from hotqueue.cli.reading import check_names
from hotqueue.cli.store import opened, store_options
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.store.store import Store


@click.command(context_settings=settings)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=completion.queues)
@click.option("--all", "every", is_flag=True, help="Every queue of the store that has, or had, tasks.")
@store_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def upgrade(queues: tuple[str, ...], every: bool, yes: bool, as_json: bool, **where: Any) -> None:
    """Take each QUEUE up to the newest schema, for good.

    'tenant-*' is all that match, as for hotqueue-worker -Q.

    A schema is the forms in which tasks are stored; this hotqueue knows all up to the newest. Programs with an older hotqueue
    are refused there from then on: their workers settle what they hold, and wait to be upgraded. If it is interrupted, run
    it again: each queue has gone up, or has not.
    """
    from hotqueue import keys
    from hotqueue.monitor import inventory

    if bool(queues) == every:
        raise click.UsageError("name queues, or say --all" if not queues else "--all is all queues: name none beside it")
    check_names(queues)
    with opened(**where) as store:
        found, doubts = inventory.meant(store, queues, with_tasks=True)
        names = list(dict.fromkeys(found)) if queues else inventory.queue_names(store, with_tasks=True)
        doubts += inventory.doubts(store, names if queues else ())
        lower = [name for name, schema in inventory.schemas(store, names).items() if schema < keys.SCHEMA]
        for doubt in doubts:
            click.echo(f"hotqueue: {doubt}", err=True)
        if lower:
            named = ", ".join(lower[:5]) + (f" and {len(lower) - 5} more" if len(lower) > 5 else "")
            confirm(
                f"Take {named} to schema {keys.SCHEMA}, for good? What has an older hotqueue is refused there from now on.", yes
            )
        rows = _upgraded(store, names, as_json)
    if as_json:
        click.echo(json_text(rows))
    elif not rows and not doubts:
        click.echo(f"there is no queue in {store}")


def _upgraded(store: Store, names: Sequence[str], as_json: bool) -> list[dict[str, Any]]:
    """Upgrade queues, one after another, and say of each as it is done."""
    from hotqueue.tasks.broker.broker import Broker

    rows = []
    for name in names:
        done = Broker(store, name).upgrade()
        rows.append({"name": name, "before": done.before, "schema": done.now, "older_workers": len(done.older)})
        if not as_json:
            went = f"schema {done.before} → {done.now}" if done.before < done.now else f"schema {done.now} already"
            one, several = "of its workers has an older hotqueue and fetches", "of its workers have an older hotqueue and fetch"
            older = f"; {plural(len(done.older), one, several)} nothing more" if done.older else ""
            click.echo(f"{name}: {went}{older}")
    return rows
