"""hotqueue retry, discard, revoke, purge, pause, resume: what is done to tasks that are named, or chosen, and to queues."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from hotqueue.cli import completion, progress
from hotqueue.cli.entry import confirm, settings
from hotqueue.cli.filtering import filter_options, meant_instead, wanted_of
from hotqueue.cli.reading import changes, chosen, known_tasks, located, queue_of, yes_option
from hotqueue.hints import did_you_mean
from hotqueue.plurals import plural

if TYPE_CHECKING:
    from hotqueue.monitor.acting import Chosen, Done, Progress
    from hotqueue.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

_ALL = 10**9  # of what is asked about, all is counted first
_IDS = click.argument("ids", metavar="[ID]...", nargs=-1)
_EVERY = click.option("--all", "every", is_flag=True, help="All of them.")
SLOW = 500  # tasks from which on a terminal shows how far it has come


def _chosen(
    store: Store, ids: Sequence[str], names: Sequence[str], every: bool, states: Sequence[str], given: dict[str, str]
) -> Chosen:
    """Return the tasks that are meant, by their queues.

    Raises:
        click.UsageError: nobody said which, or in two ways.
    """
    from hotqueue.monitor.tasks import Search

    wanted = wanted_of(**given)
    if bool(ids) + every + (not wanted.is_any) != 1:
        what = "name tasks by their ids, or choose them with --filter, --task, --since, --older or --match, or say --all"
        raise click.UsageError(f"{what}: one of these" if ids or every else what)
    found: dict[str, list[str]] = {}
    for task_id in dict.fromkeys(ids):
        found.setdefault(located(store, task_id, names), []).append(task_id)
    if not ids:
        search, queues = Search(wanted, _ALL, _ALL), chosen(store, names)
        with progress.shown("looking for tasks", lambda: f"{search.looked:,} looked at"):
            for row in search.rows(store, queues, states):
                found.setdefault(row.queue, []).append(row.id)
    return found


def _number(found: Chosen) -> int:
    return sum(map(len, found.values()))


def _with_progress(act: Callable[[Progress], Done], count: int) -> Done:
    """Do something to tasks; on a terminal, show how far that is where it may take a while."""
    if count < SLOW or not sys.stderr.isatty():
        return act(lambda _more: None)
    with click.progressbar(length=count, file=sys.stderr) as bar:
        return act(bar.update)


def _is_nothing(store: Store, found: Chosen, names: Sequence[str], given: dict[str, str]) -> bool:
    if not found:
        hint = meant_instead(store, chosen(store, names), wanted_of(**given))
        click.echo(f"hotqueue: there is no such task{hint}", err=True)
    return not found


@click.command(context_settings=settings)
@_IDS
@filter_options
@_EVERY
@yes_option
@changes
def retry(store: Store, ids: tuple[str, ...], names: tuple[str, ...], every: bool, yes: bool, **given: str) -> None:
    """Put dead tasks back into their queues, with a clean slate: those with these IDs, or all that are chosen."""
    from hotqueue.monitor import acting

    found = _chosen(store, ids, names, every, ["dead"], given)
    if _is_nothing(store, found, names, given):
        return
    if not ids:
        confirm(f"Retry {plural(_number(found), 'dead task')}?", yes)
    done = _with_progress(lambda more: acting.retry(store, found, more), _number(found))
    click.echo(f"{plural(done.count, 'task')} retried")
    if done.kept:
        (own, other), count = next(iter(done.kept.items())), len(done.kept)
        why = f"another with the same unique key is there (of {own}: {other})"
        click.echo(f"{plural(count, 'task stays', 'tasks stay')} dead: {why}")
    _fail_for_missing(done.missing if ids else [])


def _fail_for_missing(missing: Sequence[str]) -> None:
    if missing:
        raise click.UsageError(f"{', '.join(missing[:5])}{' …' * (len(missing) > 5)}: not in the dead list")


@click.command(context_settings=settings)
@_IDS
@filter_options
@_EVERY
@click.option("--undo", is_flag=True, help="Bring back what was thrown away within five minutes: these IDs, or all of it.")
@yes_option
@changes
def discard(store: Store, ids: tuple[str, ...], names: tuple[str, ...], every: bool, undo: bool, yes: bool, **given: str) -> None:
    """Throw dead tasks away: those with these IDs, or all that are chosen. For five minutes --undo brings them back."""
    from hotqueue.monitor import acting

    if undo:
        if any(given.values()):
            raise click.UsageError("--undo takes ids, or brings back all that was thrown away; choose queues with -Q")
        _undo(store, ids, names)
        return
    found = _chosen(store, ids, names, every, ["dead"], given)
    if _is_nothing(store, found, names, given):
        return
    confirm(f"Throw {plural(_number(found), 'dead task')} away?", yes)
    done = _with_progress(lambda more: acting.discard(store, found, more), _number(found))
    hint = acting.undo_hint(done, "'hotqueue discard --undo' brings")
    click.echo(f"{plural(done.count, 'task')} thrown away{hint}")
    if ids and done.count < len(set(ids)):
        raise click.UsageError(f"{plural(len(set(ids)) - done.count, 'task')} of these: not in the dead list")


def _undo(store: Store, ids: Sequence[str], names: Sequence[str]) -> None:
    from hotqueue.monitor import acting
    from hotqueue.tasks.broker.discarding import WHY_NOT

    queues = chosen(store, names)
    with progress.shown("bringing tasks back"):
        done = acting.undo_discard(store, queues, ids)
    if not (ids or done.count or done.kept):
        click.echo("hotqueue: nothing is left of what was thrown away within the last five minutes", err=True)
        return
    click.echo(f"{plural(done.count, 'task is', 'tasks are')} in the dead list again")
    for why in dict.fromkeys(done.kept.values()):
        some = [each for each, reason in done.kept.items() if reason == why]
        text = f"{plural(len(some), 'task')} not ({', '.join(some[:3])}{' …' * (len(some) > 3)}): {WHY_NOT[why]}"
        click.echo(f"hotqueue: {text}", err=True)
    if ids and done.kept:
        raise click.exceptions.Exit(2)


@click.command(context_settings=settings)
@_IDS
@filter_options
@_EVERY
@click.option("--terminate", is_flag=True, help="End the processes of those that run; what runs beside them starts again.")
@yes_option
@changes
def revoke(
    store: Store, ids: tuple[str, ...], names: tuple[str, ...], every: bool, terminate: bool, yes: bool, **given: str
) -> None:
    """Keep tasks from running: those with these IDs, or all that are chosen. What runs goes on, unless --terminate."""
    from hotqueue.monitor import acting
    from hotqueue.monitor.filters import UNENDED

    found = _chosen(store, ids, names, every, [state for state in UNENDED if state != "dead"], given)
    if _is_nothing(store, found, names, given):
        return
    confirm(f"Revoke {plural(_number(found), 'task')}{', and end those that run' * terminate}?", yes)
    wanted = wanted_of(**given)
    if not (ids or terminate) and (wanted.is_any or wanted.only("task")):  # then the server does it, however many they are
        with progress.shown("revoking"):
            count = acting.revoke_all(store, found, wanted.only("task"))
        others = "; of the others, which run, none is stopped, and none runs again" if count < _number(found) else ""
        click.echo(f"{plural(count, 'task')} revoked{others}")
        return
    done = _with_progress(lambda more: acting.revoke(store, found, terminate, more), _number(found))
    for said, count in sorted(done.said.items()):
        click.echo(f"{plural(count, 'task')} {said}")


def _about_a_queue(command: F) -> F:
    """Give a command a QUEUE, which other commands call --queue; it arrives as `queue`."""

    @functools.wraps(command)
    def run(*args: Any, queue: str | None, named: str | None, **given: Any) -> Any:
        if None not in (queue, named) and queue != named:
            raise click.UsageError("QUEUE and --queue are the same: name one queue")
        if (meant := named if queue is None else queue) is None:
            raise click.UsageError("name the queue: QUEUE is missing")
        return command(*args, queue=meant, **given)

    option = click.option(
        *("-Q", "--queue", "named"),
        metavar="QUEUE",
        shell_complete=completion.queues,
        help="The same as QUEUE, as other commands have it.",
    )
    return cast(F, click.argument("queue", required=False, shell_complete=completion.queues)(option(run)))


@click.command(context_settings=settings)
@_about_a_queue
@click.option("--task", metavar="NAME", default=None, shell_complete=completion.tasks, help="Tasks of this name only.")
@click.option("--state", type=click.Choice(["waiting", "scheduled", "retrying", "parked"]), help="Those that wait so only.")
@yes_option
@changes
def purge(store: Store, queue: str, task: str | None, state: str | None, yes: bool) -> None:
    """Revoke what waits in QUEUE; nothing that a worker has in hand, nothing dead, no raw messages."""
    found = queue_of(store, queue)
    counts = found.stats()
    number = counts["scheduled" if state in ("scheduled", "retrying") else "parked" if state == "parked" else "pending"]
    of_these = (
        f", of them those {'of ' + task if task else ''}{' and ' * bool(task and state)}{'that are ' + state if state else ''}"
    )
    confirm(f"Revoke what waits in {queue}: {plural(number, 'task')}{of_these * bool(task or state)}?", yes)
    with progress.shown(f"revoking what waits in {queue}"):
        count = found.purge(task=task, state=state)
    click.echo(f"{plural(count, 'task')} revoked")
    if task and not count:
        _say_what_may_be_meant(store, queue, task)


def _pausing(verb: str) -> Any:
    """Return the command that pauses, or that resumes."""

    @changes
    def command(store: Store, queue: str, task: str | None, key: str | None) -> None:
        if task is not None and key is not None:
            raise click.UsageError("--task and --key are two things: say it once for each")
        found = queue_of(store, queue)
        before = [*found.stats()["paused_tasks" if task else "paused_keys"]] if verb == "resume" else []
        try:
            found.pause(task=task, key=key) if verb == "pause" else found.resume(task=task, key=key)
        except (TypeError, ValueError) as error:
            raise click.UsageError(str(error)) from None
        what = f"task {task} of queue {queue}" if task else f"key {key} of queue {queue}" if key else f"queue {queue}"
        click.echo(f"{what}: {verb}d")
        if verb == "resume":
            _say_what_is_paused(task or key, before)
        elif task:
            _say_what_may_be_meant(store, queue, task)

    for option in (
        click.option(
            "--key",
            metavar="KEY",
            shell_complete=completion.keys,
            help="Only what has this key of limits, or of turns.",
        ),
        click.option("--task", metavar="NAME", shell_complete=completion.tasks, help="Only tasks of this name."),
        _about_a_queue,
    ):
        command = option(command)
    doc = "Have workers start nothing of QUEUE until it is resumed; what runs goes on." if verb == "pause" else "Undo pause."
    return click.command(verb, context_settings=settings, help=doc)(command)


def _say_what_may_be_meant(store: Store, queue: str, task: str) -> None:
    known = known_tasks(store, [queue])
    if known and task not in known:
        click.echo(f"hotqueue: nothing is known of a task {task!r} in queue {queue!r}{did_you_mean(task, known)}", err=True)


def _say_what_is_paused(name: str | None, paused: Sequence[str]) -> None:
    """Say, of what was not paused when it was resumed, what was."""
    if name and name not in paused:
        click.echo(f"hotqueue: {name!r:.80} was not paused{did_you_mean(name, paused)}", err=True)


pause, resume = _pausing("pause"), _pausing("resume")
