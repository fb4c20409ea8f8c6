"""Completion by the Tab key of what only the store knows: names of queues, tasks, workers and schedules.

Whoever types does not wait, and sees no error: a store that does not answer in a moment completes nothing, and none is started.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli.settings import STORE

if TYPE_CHECKING:
    from hotqueue.store.store import Store

MOST = 200  # names that are offered
PATIENCE = 0.5  # seconds for which a server that refuses is asked again
SILENT = 0.5  # seconds for which one is waited for that takes a connection, and says nothing


def _completing(
    find: Callable[[Store, list[str], str], Iterator[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what click asks for completions, made of what finds names in a store, among some queues."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        given: dict[str, Any] = ctx.params
        is_whole = any(each.name == "db" for each in ctx.command.params)  # else --host and --port are where it listens
        where = _said_before(ctx)
        where |= {name: given[name] for name in STORE if (is_whole or name in ("dbfilename", "url")) and given.get(name)}
        with contextlib.suppress(Exception, SystemExit), _running(where) as store:
            if store is None:
                return []
            names = [*(given.get("names") or ()), *(each for each in map(given.get, ("queue", "named")) if isinstance(each, str))]
            return sorted({name for name in find(store, names, incomplete) if name.startswith(incomplete)})[:MOST]
        return []

    return complete


def _said_before(ctx: click.Context) -> dict[str, Any]:
    """Return what names the store before the name of the command: `hotqueue --url U tasks`."""
    before = _said_before(ctx.parent) if ctx.parent is not None else {}
    here = ctx.params if isinstance(ctx.command, click.Group) else {}
    return before | {name: here[name] for name in ("dbfilename", "url") if here.get(name)}


@contextlib.contextmanager
def _running(where: dict[str, Any]) -> Iterator[Store | None]:
    """Open the store that is meant, unless its embedded server would have to be started for it."""
    from hotqueue import embedded
    from hotqueue import keys as names
    from hotqueue.cli.store import opened

    with opened(**where) as store:
        store.patience = PATIENCE
        path = store.embedded.path if store.embedded is not None else None
        is_running = path is None or (os.path.exists(path) and bool(embedded.status(path).get("running")))
        with store.limited(SILENT):
            if is_running:  # for what lists keys no such limit holds
                store.command(names.PREFIX, "PING")
            yield store if is_running else None


def _queues(store: Store, _names: list[str], _typed: str) -> Iterator[str]:
    from hotqueue.monitor import inventory

    yield from inventory.queue_names(store)


def _tasks(store: Store, names: list[str], _typed: str) -> Iterator[str]:
    from hotqueue.monitor import finding

    yield from finding.known_tasks(store, finding.queues(store, names)[0])


def _workers(store: Store, names: list[str], _typed: str) -> Iterator[str]:
    from hotqueue.monitor import finding
    from hotqueue.monitor import workers as facts

    yield from (worker.shown for worker in facts.workers(store, finding.queues(store, names)[0]))


def _schedules(store: Store, names: list[str], _typed: str) -> Iterator[str]:
    from hotqueue.monitor import finding
    from hotqueue.monitor import schedules as facts

    yield from (row.name for row in facts.schedules(store, finding.queues(store, names)[0]))


def _keys(store: Store, names: list[str], _typed: str) -> Iterator[str]:
    from hotqueue.monitor import finding, gates

    for queue in finding.queues(store, names)[0]:
        yield from gates.raw_keys(store, queue)


def _weighted_queues(store: Store, _names: list[str], typed: str) -> Iterator[str]:
    from hotqueue.monitor import inventory

    before = typed[: typed.rfind(",") + 1]  # of hotqueue-worker -Q one:3,another
    yield from (f"{before}{name}" for name in inventory.queue_names(store))


queues, tasks, workers, schedules, keys, weighted_queues = map(
    _completing, (_queues, _tasks, _workers, _schedules, _keys, _weighted_queues)
)


def _filters(store: Store, names: list[str], typed: str) -> Iterator[str]:
    from hotqueue.monitor import filter_text, filter_values

    known = filter_values.known(store, typed, len(typed), names)
    yield from (each.text.rstrip() for each in filter_text.offers(typed, len(typed), known))


filters = _completing(_filters)
