"""hotqueue: looking at queues and their store, and mending them.

Each group of commands is imported when first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import progress, tables
from hotqueue.cli.entry import json_text, pass_on, run, settings, version_option
from hotqueue.cli.reading import reads
from hotqueue.cli.store import FILE, URL
from hotqueue.hints import did_you_mean
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.store.store import Store

# Commands that live in a file of their own: name → module, attribute.
_ELSEWHERE = {
    name: (f"hotqueue.cli.{module}", name)
    for module, names in {
        "changing": ["discard", "pause", "purge", "resume", "retry", "revoke"],
        "demo": ["demo"],
        "doctor": ["doctor"],
        "embedded": ["embedded"],
        "enqueue": ["enqueue"],
        "metrics": ["metrics"],
        "schedules": ["schedules"],
        "statistics": ["deploy", "stats"],
        "tasks": ["show", "tasks", "why"],
        "upgrade": ["upgrade"],
        "web": ["web"],
        "workers": ["workers"],
    }.items()
    for name in names
}


_ALSO = {"periodic": "schedules"}  # other names of commands


class Commands(click.Group):
    """A group that finds some of its commands in other files."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands that exist."""
        there = [name for name, (module, _) in _ELSEWHERE.items() if importlib.util.find_spec(module)]
        return sorted([*super().list_commands(ctx), *there])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a command, importing its file first where it has one."""
        name = _ALSO.get(name, name)
        if name in _ELSEWHERE and name in self.list_commands(ctx):
            module, attribute = _ELSEWHERE[name]
            found = getattr(importlib.import_module(module), attribute)
            assert isinstance(found, click.Command)
            return found
        return super().get_command(ctx, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find what was typed; for what is none, name the nearest of all commands: click knows those of this file alone."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if args[0].startswith("-") or self.get_command(ctx, args[0]) is not None:
                raise
            hint = did_you_mean(args[0], [*self.list_commands(ctx), *_ALSO])
            raise click.UsageError(f"there is no command {args[0]!r:.80}{hint}", ctx) from None


@click.group(cls=Commands, context_settings=settings, invoke_without_command=True)
@version_option
@FILE
@URL
@click.pass_context
def hotqueue(ctx: click.Context, /, **where: str | None) -> None:
    """Look at queues and their store, and mend them."""
    pass_on(ctx, where)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@hotqueue.command()
@reads
def info(store: Store, as_json: bool) -> None:
    """Show the version, the store, its server and the queues in it: how much waits, runs and is dead in each."""
    from hotqueue.monitor import answers, inventory

    with progress.shown("looking at queues"):
        facts = answers.info(store)
        schemas = inventory.schemas(store, inventory.queue_names(store))
        found = [answers.queue(store, name, schema) for name, schema in schemas.items()]
    if as_json:
        click.echo(json_text({**facts, "queues": found}))
        return
    for name in ("hotqueue", "store", "server"):
        click.echo(f"{name:9} {facts[name]}")
    for queue in found:
        click.echo(f"{'queue':9} {tables.printable(queue['name'])}: {tables.printable(_in_words(queue))}")


def _in_words(queue: dict[str, Any]) -> str:
    if "tasks" not in queue:
        return f"{plural(queue['messages'], 'message')}, tasks that a newer hotqueue knows, schema {queue['schema']}"
    parts = [plural(queue["messages"], "message"), plural(queue["tasks"], "waiting task")]
    if suspects := queue.get("suspects"):
        parts.append(f"{suspects} of them suspected of killing their process")
    parts += [f"{queue[what]} {what}" for what in ("scheduled", "running", "dead") if what in queue]
    if workers := queue.get("workers"):
        parts.append(plural(workers, "worker"))
    paused = ["paused"] if queue.get("paused") else [f"{each} paused" for each in queue.get("paused_tasks", [])]
    paused += [f"key {each} paused" for each in queue.get("paused_keys", [])]
    return ", ".join([*parts, *paused, f"schema {queue['schema']}"])


def main() -> None:
    """Run the command."""
    run(hotqueue, "hotqueue")
