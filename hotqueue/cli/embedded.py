"""hotqueue embedded: the state of a database file and its server, repair, upgrade and copies."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hotqueue.cli.entry import confirm, json_text, pass_on, settings
from hotqueue.cli.reading import watched
from hotqueue.cli.store import FILE, address_of, default_address
from hotqueue.plurals import plural

F = TypeVar("F", bound=Callable[..., Any])

_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(context_settings=settings, invoke_without_command=True)
@FILE
@click.pass_context
def embedded(ctx: click.Context, /, dbfilename: str | None) -> None:
    """Look after the database file of an embedded server."""
    pass_on(ctx, {"dbfilename": dbfilename})
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _about_a_file(command: F) -> F:
    """Give a command a FILE, which other commands call --dbfilename."""
    path = click.Path(readable=False)  # what is wrong with it, the store says best
    option = click.option("--dbfilename", metavar="FILE", help="The same as FILE, as other commands have it.")
    return click.argument("file", type=path, required=False)(option(command))


def _meant(file: str | None, dbfilename: str | None) -> str | None:
    """Return the file that is meant: FILE, else the one that settings name; None is the user's own.

    Raises:
        click.UsageError: two are named.
    """
    if None not in (file, dbfilename) and file != dbfilename:
        raise click.UsageError("FILE and --dbfilename are the same: name one file")
    named = dbfilename if file is None else file
    return default_address().path if named is None else named


@embedded.command()
@_about_a_file
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@watched
def status(file: str | None, dbfilename: str | None, as_json: bool) -> None:
    """Show how the server of FILE is (default: that of settings, else your own). Starts nothing."""
    from hotqueue import embedded as server

    file = _meant(file, dbfilename)
    facts = server.status(file)
    if as_json:
        click.echo(json_text(facts))
        return
    for name, value in _lines(facts):
        click.echo(f"{name:9} {value}")


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person wants to know, in the order of asking."""
    server = f"{facts['server']} {facts['version']} ({facts['binary']})" if facts["server"] else "unknown"
    lines = [
        ("database", f"{facts['path']}, {plural(facts['database_bytes'], 'byte')}"),
        ("journal", plural(facts["journal_bytes"], "byte")),
    ]
    lines.append(("server", server))
    lines.append(("state", _state(facts)))
    if facts["running"]:
        lines.append(("users", ", ".join(map(str, facts["users"])) if facts["users"] else "unknown"))
    if "keys" in facts:
        memory = f"{facts['memory_bytes'] / 1e6:.1f} MB"
        lines.append(("holds", f"{plural(facts['keys'], 'key')} in {memory}, durability {facts['durability']}"))
    if not facts.get("disk_ok", True):
        lines.append(("disk", "full: nothing can be written"))
    lines.append(("log", facts["log"]))
    if facts["last_error"]:
        lines.append(("last said", facts["last_error"]))
    return lines


def _state(facts: dict[str, Any]) -> str:
    if not facts["running"]:
        return "not running, nobody uses it"
    up = f"process {facts['pid']} on {facts['host']}"
    return f"running, {up}" if facts["answers"] else f"running but not answering, {up}"


@embedded.command()
@_about_a_file
@_YES
def stop(file: str | None, dbfilename: str | None, yes: bool) -> None:
    """End the server of FILE (default: that of settings, else your own), once all is written; it also ends with its last user."""
    from hotqueue import embedded as server

    file = _meant(file, dbfilename)
    facts = server.status(file)
    if facts["running"] and facts["users"] != []:
        users = ", ".join(map(str, facts["users"])) if facts["users"] else "unknown"
        confirm(f"{facts['path']} is in use (by process {users}), which starts a server again. End it all the same?", yes)
    done = server.stop(file)
    click.echo(f"{done['path']}: {'its server has ended' if done['stopped'] else 'no server runs'}")


@embedded.command()
@_about_a_file
@_YES
def repair(file: str | None, dbfilename: str | None, yes: bool) -> None:
    """Cut the damaged journal of FILE (default: that of settings, else your own) before the damage, after a backup."""
    from hotqueue import embedded as server

    file = _meant(file, dbfilename)
    path = server.status(file)["path"]  # no question about a file that is not there
    confirm(f"Cut the journal of {path} before its first damage (a backup is kept)?", yes)
    done = server.repair(file)
    click.echo(f"{done['path']}: {plural(done['kept_bytes'], 'byte')} of the journal kept, {done['dropped_bytes']:,} dropped")
    click.echo(f"backup: {done['backup']}")


@embedded.command()
@_about_a_file
@_YES
def upgrade(file: str | None, dbfilename: str | None, yes: bool) -> None:
    """Hand FILE (default: that of settings, else your own) to the newest server here, for good, after a backup."""
    from hotqueue import embedded as server

    file = _meant(file, dbfilename)
    path = server.status(file)["path"]  # no question about a file that is not there
    confirm(f"Hand {path} to the newest server found here, for good (a backup is kept)?", yes)
    done = server.upgrade(file)
    if done["backup"] is None:
        click.echo(f"{done['path']}: nothing to do, {done['to']} is the server of this file")
        return
    click.echo(f"{done['path']}: handed from {done['from']} to {done['to']} ({done['binary']})")
    click.echo(f"backup: {done['backup']}")


@embedded.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--replace", is_flag=True, help="Lose what is in TO: the file, or on a server the queues of the same names.")
@click.option("--hold-up", is_flag=True, help="FROM, a server, may be kept from all else while a very long queue is copied.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def export(source: str, target: str, replace: bool, hold_up: bool, as_json: bool) -> None:
    """Copy the queues in FROM to TO, each a database file or the URL of a server, while it is in use or not.

    The copy is FROM at one moment (from a server, each queue at one moment). What workers had in hand waits in it.
    """
    from hotqueue.transfer import copying

    for place in (source, target):
        if "://" in place:
            address_of({"url": place})
    copied = copying.export(source, target, replace=replace, hold_up=hold_up, progress=_progress())
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    if as_json:
        click.echo(json_text(dataclasses.asdict(copied)))
        return
    click.echo(f"{copied.source} → {copied.target}: {_sum_of(copied)}")
    if copied.left_out:
        left = plural(copied.left_out, "key that is no queue's was", "keys that are no queue's were")
        click.echo(f"{left} left out")


def _sum_of(copied: Any) -> str:
    counts = {"queue": copied.queues, "message": copied.messages, "unfinished task": copied.tasks}
    return ", ".join(plural(count, what) for what, count in counts.items())


def _progress() -> Callable[[int], None]:
    """Show on a terminal how many bytes were written, a few times a second."""
    written, shown = 0, 0.0

    def show(more: int) -> None:
        nonlocal written, shown
        written += more
        if sys.stderr.isatty() and time.monotonic() > shown + 0.2:
            shown = time.monotonic()
            click.echo(f"\r{written / 1e6:.1f} MB", nl=False, err=True)

    return show
