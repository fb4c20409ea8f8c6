"""What all commands that read have in common: a store that answers, queues that are there, --json, --watch."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hotqueue.cli import completion
from hotqueue.cli.settings import STORE, Number, Whole
from hotqueue.cli.store import opened, store_options
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.queue import HotQueue
    from hotqueue.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

queues_option = click.option(
    *("-Q", "--queue", "names"),
    shell_complete=completion.queues,
    metavar="QUEUE",
    multiple=True,
    help="Of this queue only, or of those that match 'tenant-*'; may be said again.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, or one a line for a list.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def reads(command: F) -> Any:
    """Give a function the options of a command that reads, and call it with a store; again and again with --watch."""

    @functools.wraps(command)
    def run(*args: Any, is_watched: bool = False, every: float = 2.0, times: int = 0, **given: Any) -> None:
        with opened_store(given) as store:
            ask = functools.partial(command, store, *args, **given)
            _watch(ask, every, times) if is_watched else ask()

    return store_options(json_option(_watch_options(run)))


def _watch_options(command: Any) -> Any:
    made = click.option("--times", type=Whole(0), default=0, hidden=True)(command)  # for tests and scripts
    made = click.option("--every", type=Number(0.1, 3600), default=2.0, show_default=True, metavar="S", help="Of --watch.")(made)
    return click.option("-w", "--watch", "is_watched", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")(made)


def watched(command: F) -> Any:
    """Give a function that opens its store by itself, or has none, the options of --watch."""

    @functools.wraps(command)
    def run(*args: Any, is_watched: bool = False, every: float = 2.0, times: int = 0, **given: Any) -> None:
        ask = functools.partial(command, *args, **given)
        _watch(ask, every, times) if is_watched else ask()

    return _watch_options(run)


def changes(command: F) -> Any:
    """Give a function the options of a command that changes something, and call it with a store."""

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        with opened_store(given) as store:
            command(store, *args, **given)

    return store_options(run)


def opened_store(given: dict[str, Any]) -> AbstractContextManager[Store]:
    """Open the store that options name, which are taken out of `given`; one that is away is said to be at once."""
    where = {name: given.pop(name) for name in STORE if name in given}
    return _answering(where)


@contextmanager
def _answering(where: dict[str, Any]) -> Iterator[Store]:
    from hotqueue import keys

    with opened(**where) as store:
        store.command(keys.PREFIX, "PING", doing="reaching the server")
        yield store


def _watch(ask: Callable[[], None], every: float, times: int) -> None:
    from hotqueue.errors import ConnectionFailed

    is_terminal = sys.stdout.isatty()
    shown = 0
    try:
        while True:
            if is_terminal:
                click.echo("\x1b[H\x1b[2J", nl=False)
            try:
                ask()
            except click.exceptions.Exit:  # of which something was wrong, and was said
                pass
            except ConnectionFailed as error:  # it may come back
                click.echo(str(error), err=not is_terminal)
            shown += 1
            if shown == times:
                return
            time.sleep(every)
    except KeyboardInterrupt:
        pass


def say_refused(refused: Sequence[str]) -> None:
    """Say which queues could not be read; the command then exits with 1, whatever it printed of the others."""
    for text in dict.fromkeys(refused):
        click.echo(f"hotqueue: {text}", err=True)
    if refused:
        click.get_current_context().exit(1)


def chosen(store: Store, names: Sequence[str]) -> list[str]:
    """Return the queues that names and globs stand for; all where there are none.

    Raises:
        click.UsageError: one that is not there, naming the nearest.
    """
    from hotqueue.errors import HotQueueError
    from hotqueue.monitor import finding

    check_names(names)
    try:
        found, doubts = finding.queues(store, names)
    except HotQueueError as error:
        if names or "NOPERM" not in str(error):
            raise
        raise click.ClickException(f"{error}; this user may not list keys, so name queues with -Q") from None
    if doubts:
        raise click.UsageError("; ".join(doubts))
    return found


def check_names(names: Sequence[str]) -> None:
    """Check names of queues, and globs.

    Raises:
        click.UsageError: no queue can be called that.
    """
    from hotqueue import keys
    from hotqueue.errors import ConfigError
    from hotqueue.tasks.rules import globs

    try:
        for name in names:
            keys.check_name(name if globs.is_glob(name) else globs.literal(name))
            globs.check(name, f"queue {name!r:.80}")
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def known_tasks(store: Store, queues: Sequence[str]) -> list[str]:
    """Return names of tasks that may be meant; none for whoever may not read them."""
    from hotqueue.errors import HotQueueError
    from hotqueue.monitor import finding

    with contextlib.suppress(HotQueueError):
        return finding.known_tasks(store, queues)
    return []


def say_doubts(store: Store, names: Sequence[str]) -> None:
    """Say of which of some queues there is no trace, to whoever serves them: they may come yet."""
    from hotqueue.errors import HotQueueError
    from hotqueue.monitor import finding

    with contextlib.suppress(HotQueueError):  # one that is away is said by what is served
        for doubt in finding.queues(store, names)[1] if names else ():
            click.echo(f"hotqueue: {doubt}", err=True)


def queue_of(store: Store, name: str) -> HotQueue:
    """Return one queue, by its name.

    Raises:
        click.UsageError: it is not there, naming the nearest.
    """
    from hotqueue.monitor.acting import queue_at
    from hotqueue.tasks.rules import globs

    found = chosen(store, [name])
    if globs.is_glob(name):
        raise click.UsageError(f"{name!r:.80} may be several queues: name one")
    return queue_at(store, found[0])


def located(store: Store, task_id: str, names: Sequence[str]) -> str:
    """Return the queue that knows a task.

    Raises:
        click.UsageError: none does; or several do, and nobody said which is meant.
    """
    from hotqueue.monitor import ended, finding

    queues = chosen(store, names)
    found = finding.queues_of(store, task_id, queues) or [each for each in queues if ended.find(store, each, task_id) is not None]
    if len(found) == 1:
        return found[0]
    if not queues:
        raise click.UsageError(
            f"there is no task {task_id!r:.200} in {store}: there is no queue at all; is it the one that was meant?"
        )
    if not found:
        where = f"queue {queues[0]!r}" if len(queues) == 1 else f"any of {plural(len(queues), 'queue')}"
        raise click.UsageError(
            f"there is no task {task_id!r:.200} in {where} of {store}: it was never sent there, or its result has expired"
        )
    raise click.UsageError(f"task {task_id!r:.200} is in queues {', '.join(found)}: say which one with --queue")
