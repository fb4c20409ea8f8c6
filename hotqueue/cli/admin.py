"""hotqueue: looking at queues and their store, and mending them.

Each group of commands is imported when first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import click

from hotqueue import __version__
from hotqueue.cli.entry import json_text, run, settings, version_option
from hotqueue.cli.store import opened, store_options

if TYPE_CHECKING:
    from hotqueue.store.store import Store

# Commands that live in a file of their own: name → module, attribute.
_ELSEWHERE = {"embedded": ("hotqueue.cli.embedded", "embedded"), "upgrade": ("hotqueue.cli.upgrade", "upgrade")}


class Commands(click.Group):
    """A group that finds some of its commands in other files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands that exist."""
        there = [name for name, (module, _) in _ELSEWHERE.items() if importlib.util.find_spec(module)]
        return sorted([*super().list_commands(ctx), *there])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command, importing its file first where it has one."""
        if name in _ELSEWHERE and name in self.list_commands(ctx):
            module, attribute = _ELSEWHERE[name]
            found = getattr(importlib.import_module(module), attribute)
            assert isinstance(found, click.Command)
            return found
        return super().get_command(ctx, name)


@click.group(cls=Commands, context_settings=settings, invoke_without_command=True)
@version_option
@click.pass_context
def hotqueue(ctx: click.Context) -> None:
    """Look at queues and their store, and mend them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@hotqueue.command()
@store_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def info(as_json: bool, **where: Any) -> None:
    """Show the version, the store, its server and the queues in it."""
    from hotqueue.keys import SCHEMA
    from hotqueue.monitor import inventory

    with opened(**where) as store:
        facts = {"hotqueue": __version__, "store": str(store), "server": inventory.server_version(store)}
        schemas = inventory.schemas(store, inventory.queue_names(store))
        found = [_queue(store, name, schema > SCHEMA) for name, schema in schemas.items()]
    if as_json:
        queues = [{**queue, "schema": schemas[queue["name"]]} for queue in found]
        click.echo(json_text({**facts, "schema": SCHEMA, "queues": queues}))
        return
    for name, value in facts.items():
        click.echo(f"{name:9} {value}")
    for queue in found:
        suspected = f", {queue['suspects']} of them suspected of killing their process" if "suspects" in queue else ""
        waiting = f"{queue['tasks']} waiting tasks{suspected}" if "tasks" in queue else "tasks that a newer hotqueue knows"
        click.echo(f"{'queue':9} {queue['name']}: {queue['messages']} messages, {waiting}, schema {schemas[queue['name']]}")


def _queue(store: Store, name: str, is_newer: bool) -> dict[str, Any]:
    """Return what waits in a queue; of one that is newer than we are, no tasks."""
    from hotqueue.monitor import inventory

    if is_newer:
        return {"name": name, "messages": inventory.messages(store, name)}
    found = inventory.length(store, name)
    suspects = {"suspects": found.suspects} if found.suspects else {}
    return {"name": name, "messages": found.messages, "tasks": found.tasks, **suspects}


def main() -> None:
    """Run the command."""
    run(hotqueue, "hotqueue")
