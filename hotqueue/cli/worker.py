"""hotqueue-worker: import modules, find their queues and tasks, run worker processes until signalled."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hotqueue import __version__
from hotqueue.cli import completion, logs
from hotqueue.cli.entry import run, say, version_option
from hotqueue.cli.exporter import exporting
from hotqueue.cli.reload import reloading
from hotqueue.cli.settings import HostPort, Number, Seconds, Size, Whole, defaults_of, misspelt_variables, usable_cpus
from hotqueue.cli.store import from_settings
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.store.store import Store
    from hotqueue.tasks.worker.child import Settings

log = logging.getLogger("hotqueue.worker")

MOST_TURNS = 100
_NUMBER = re.compile(r"[-+]?[0-9]+([.][0-9]*)?")
_WEIGHT = re.compile(r"[1-9][0-9]{0,3}")

_HELP = """Run the tasks of MODULE (or MODULE:ATTR) until stopped.

MODULE is imported, and its queues and tasks are worked at. With -Q and no MODULE: a generic worker for calls by value
(queue.submit, lambdas, functions typed at a prompt).

TERM or INT: finish what runs within --grace, put the rest back, exit 0; once more: put back at once. HUP: replace the
processes; started from a terminal: the same as TERM. USR2: replace them in any case. TTIN, TTOU: one more, one fewer. USR1: dump
stacks.

Exit codes: 0 clean, 1 crash, 2 usage, 3 a module cannot be imported or has no tasks, 4 Redis unreachable at start."""


@click.command(help=_HELP, context_settings={"auto_envvar_prefix": "HOTQUEUE", "help_option_names": ["-h", "--help"]})
@click.argument("modules", nargs=-1, metavar="MODULE[:ATTR]...")
@click.option(
    *("-Q", "--queues"),
    metavar="A:3,B",
    shell_complete=completion.weighted_queues,
    help="Work at these queues only (default: all that the modules define), in turns: three of A to one of B. A turn is 10 ms "
    "of work, or a longer task. 'tenant-*' is all queues that match, also those that appear later (*, ?, [abc]; \\* is a *).",
)
@click.option(
    "-u", "--url", metavar="URL", allow_from_autoenv=False, help="Where the queues live, instead of where the modules say."
)
@click.option("--dbfilename", metavar="FILE", allow_from_autoenv=False, help="The same, for an embedded server's database file.")
@click.option("-p", "--processes", type=Whole(1), metavar="N", help="Worker processes (default: the CPUs it may use).")
@click.option("-t", "--threads", type=Whole(1), default=1, show_default=True, metavar="N", help="Threads a process.")
@click.option(
    *("--async-concurrency", "async_concurrency"),
    type=Whole(1),
    default=100,
    show_default=True,
    metavar="N",
    help="async def tasks at a time, a process.",
)
@click.option("-b", "--burst", is_flag=True, help="Run what is ready, and what becomes so within a second; then exit.")
@click.option("--grace", type=Seconds(0), default=25.0, show_default=True, metavar="S", help="Seconds to finish at a stop.")
@click.option("--max-tasks", type=Whole(1), metavar="N", help="Replace a process after N tasks.")
@click.option("--max-memory", type=Size(), metavar="SIZE", help="Replace a process that takes more, such as 512M.")
@click.option(
    *("--keep-ended", "keep_ended"),
    type=Whole(0),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Tasks of a queue that can be listed once they have ended, for a day; 0: none.",
)
@click.option(
    *("--code-version", "code_version"),
    default="",
    metavar="VERSION",
    help="Of your code, whose change is a deploy (default: of the distribution that MODULE is of).",
)
@click.option(
    *("--health-port", "health_port"),
    type=HostPort(),
    metavar="[HOST:]PORT",
    help="Answer /livez and /readyz over HTTP, on 127.0.0.1 unless a host is named.",
)
@click.option(
    *("--metrics-port", "metrics_port"),
    type=HostPort(),
    metavar="[HOST:]PORT",
    help="Answer /metrics for Prometheus over HTTP, by a process of its own; on 127.0.0.1 unless a host is named.",
)
@click.option("--reload", is_flag=True, help="Replace the processes when a source file changes; needs hotqueue[reload].")
@click.option("--lease", type=Number(1), default=15.0, hidden=True)  # seconds; for tests
@click.option("--name", default="", metavar="NAME", help="What this worker calls itself.")
@click.option("-l", "--log-level", type=click.Choice(logs.LEVELS, case_sensitive=False), default="info", show_default=True)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only, and no banner.")
@click.option("-v", "--verbose", is_flag=True, help="Log each task.")
@version_option
def command(modules: tuple[str, ...], queues: str | None, url: str | None, dbfilename: str | None, **given: Any) -> None:
    """Run workers."""
    names = weights_of(queues or "")
    if queues is not None and not names:  # as of -Q "$QUEUES" with nothing in it: not all of them
        raise click.UsageError(f"-Q {queues!r} names no queue; write -Q one,another")
    if not modules and not names:
        raise click.UsageError(
            "name the module with your tasks: hotqueue-worker myproject.tasks (or -Q queue for a generic worker)"
        )
    if not hasattr(os, "fork"):
        raise click.UsageError("hotqueue-worker needs fork; on Windows run queue.run_worker() or use WSL")
    level = "warning" if given["quiet"] else "debug" if given["verbose"] else given["log_level"]
    logs.set_up(level, given["log_format"])
    for warning in misspelt_variables(command):
        log.warning("%s", warning)
    sys.exit(_work(_settings(modules, names, url, dbfilename, given), level, given))


def weights_of(text: str) -> dict[str, int]:
    """Return queue → turns of what -Q names: ``a,b`` or ``a:3,b``.

    What follows the last colon is a weight if it is a number, and else a part of the name: ``mail:2024:1`` is queue mail:2024.

    Raises:
        click.UsageError: a weight that is none, or two for one queue.
    """
    found: dict[str, int] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, colon, number = part.rpartition(":")
        if not colon or (number and not _NUMBER.fullmatch(number)):
            name, number = part, "1"
        if not name or not _WEIGHT.fullmatch(number) or int(number) > MOST_TURNS:
            raise click.UsageError(
                f"-Q {part!r:.80}: the weight of a queue is a whole number from 1 to {MOST_TURNS}, such as "
                f"{name[:80] or 'a'}:3 (a name that ends like one is written with its weight: {part:.80}:1)"
            )
        if found.setdefault(name, int(number)) != int(number):
            raise click.UsageError(f"-Q names queue {name!r} twice, with weights {found[name]} and {number}; give it one")
    return found


def _settings(modules: tuple[str, ...], names: dict[str, int], url: str | None, dbfilename: str | None, given: Any) -> Settings:
    from hotqueue import keys, signing
    from hotqueue.errors import ConfigError
    from hotqueue.queue import HotQueue
    from hotqueue.store.address import MEMORY
    from hotqueue.store.resolve import resolve
    from hotqueue.tasks.rules import globs
    from hotqueue.tasks.worker.child import Settings

    if not given["name"].isprintable():
        raise click.UsageError(f"--name takes one line of text, not {given['name']!r}")
    if dbfilename == MEMORY:
        raise click.UsageError(f"a {MEMORY} database is seen by the process that made it alone; name a file")
    try:
        for name in names:
            keys.check_name(name if globs.is_glob(name) else globs.literal(name))
            globs.check(name, f"-Q {name!r:.80}")
        if signing.VARIABLE in os.environ:
            signing.split(os.environ[signing.VARIABLE], f"${signing.VARIABLE}")
        is_named = url is not None or dbfilename is not None
        address = resolve(url=url, dbfilename=dbfilename) if is_named else None if modules else from_settings()
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    return Settings(
        make_queue=HotQueue,
        modules=modules,
        queues=tuple(names),
        weights=names,
        address=address,
        processes=given["processes"] or usable_cpus(),
        threads=given["threads"],
        async_concurrency=given["async_concurrency"],
        is_burst=given["burst"],
        grace=given["grace"],
        max_tasks=given["max_tasks"],
        max_memory=given["max_memory"],
        keep_ended=given["keep_ended"],
        code_version=given["code_version"],
        name=given["name"],
        health_port=given["health_port"],
        lease_ms=int(given["lease"] * 1000),
        before_import=logs.make_way,
        after_import=logs.come_back,
    )


def _work(settings: Settings, level: str, given: Any) -> int:
    from hotqueue.errors import ConfigError
    from hotqueue.tasks.supervisor.supervisor import Supervisor
    from hotqueue.tasks.worker.child import UNKNOWN_QUEUES

    shown = not given["quiet"] and given["log_format"] == "text"

    def ready(queues: list[tuple[str, Store]], tasks: list[str], late: list[Store]) -> None:
        settings.said.add(UNKNOWN_QUEUES)  # the first process has said so
        if shown:
            say(banner(settings, queues, tasks, late))

    with exporting(given["metrics_port"]) as exporter, reloading(given["reload"], settings.modules):

        def begin(queues: list[tuple[str, Store]], tasks: list[str], late: list[Store]) -> None:
            ready(queues, tasks, late)
            exporter.begin([*(store for _, store in queues), *late], [*{name for name, _ in queues}, *settings.globs])

        supervisor = Supervisor(settings, begin, lambda text: say(f"hotqueue-worker: {text}"))
        try:
            code = supervisor.run()
        except ConfigError as error:
            raise click.UsageError(str(error)) from None
    if code == 0 and settings.is_burst and shown:
        later = supervisor.scheduled()
        if later is None:
            return code
        paused = ", ".join(supervisor.paused())
        left = f"; paused, and left as it is: {paused}" if paused else ""
        if blocked := supervisor.blocked():
            left = f"; {plural(blocked, 'task waits', 'tasks wait')} at a gate, such as a rate limit{left}"
        say(f"burst done; {plural(later, 'task')} scheduled for later{left}")
    return code


def banner(settings: Settings, queues: list[tuple[str, Store]], tasks: list[str], late: Sequence[Store] = ()) -> str:
    """Return what the worker says when it is ready."""
    stores = sorted({str(store) for store in (*(store for _, store in queues), *late)})
    shown = ", ".join(tasks[:20]) + (f" and {len(tasks) - 20} more" if len(tasks) > 20 else "")
    lines = [
        f"hotqueue {__version__}, {plural(settings.processes, 'process', 'processes')}, pid {os.getpid()}"
        + (f", {settings.name}" if settings.name else ""),
        f"  store   {', '.join(stores)}{_container_hint([*(store for _, store in queues), *late])}",
        f"  queues  {', '.join(_shown({name for name, _ in queues}, settings))}",
        f"  tasks   {shown or 'none by name; calls by value only'}",
    ]
    return "\n".join(lines)


def _shown(queues: set[str], settings: Settings) -> list[str]:
    """Return queues as the banner shows them: those that only a glob means by that, and how many they are."""
    from hotqueue.tasks.rules import globs

    meant_by = {queue: globs.first_match(settings.queues, queue) or queue for queue in queues}
    found = [_with_turns(queue, settings.weights, queue) for queue in sorted(queues) if meant_by[queue] not in settings.globs]
    for glob in settings.globs:
        count = sum(name == glob for name in meant_by.values())
        found.append(f"{_with_turns(glob, settings.weights, globs.example(glob))} ({plural(count, 'queue')} now)")
    return found


def _with_turns(name: str, weights: Mapping[str, int], queue: str) -> str:
    from hotqueue.tasks.rules import globs

    weight = weights.get(name) or globs.weight_of(weights, queue)
    return name if weight == 1 else f"{name} ({plural(weight, 'turn')})"


def _container_hint(stores: list[Store]) -> str:
    inside = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    embedded = any(store.embedded is not None for store in stores)
    return " (inside a container: other containers do not see it)" if inside and embedded else ""


def main() -> None:
    """Run the command; any mistake is one line."""
    run(command, "hotqueue-worker", defaults=defaults_of)
