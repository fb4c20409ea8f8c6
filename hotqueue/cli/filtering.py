"""The options by which commands choose tasks: a filter, or one thing each: name, queue, age, text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion
from hotqueue.cli.reading import known_tasks, queues_option
from hotqueue.hints import did_you_mean

if TYPE_CHECKING:
    from hotqueue.monitor.filters import Filter
    from hotqueue.store.store import Store


def filter_options(command: Any) -> Any:
    """Give a command the options by which tasks are chosen."""
    for option in (
        click.option(
            "--filter",
            "filtered",
            metavar="FILTER",
            default="",
            shell_complete=completion.filters,
            help="Such as 'task:mail -queue:low failed:>1h arg:\"4\"'; docs/commands.md has all of it.",
        ),
        click.option("--match", metavar="TEXT", default="", help="Whose id, name, arguments or last error has TEXT in it."),
        click.option(
            "--older", metavar="AGE", default="", help="Sent (dead: died) longer ago than 90s, 15m, 2h, 7d, or before a time."
        ),
        click.option(
            "--since", metavar="AGE", default="", help="Sent (dead: died) within the last 90s, 15m, 2h, 7d, or since a time."
        ),
        queues_option,
        click.option(
            "--task",
            metavar="NAME",
            default="",
            shell_complete=completion.tasks,
            help="Of this name, or of those that match 'shop.*'.",
        ),
    ):
        command = option(command)
    return command


def meant_instead(store: Store, queues: Sequence[str], wanted: Filter) -> str:
    """Return ``; did you mean 'x'?`` for the first name of a filter that nobody knows of, if one is near to it."""
    known = {"queue": lambda: list(queues), "task": lambda: known_tasks(store, queues)}
    for term in wanted.terms:
        if term.field in known and not term.is_not and not set(term.value) & set("*?["):
            names = known[term.field]()
            if term.value not in names and (hint := did_you_mean(term.value, names)):
                return hint
    return ""


def wanted_of(task: str = "", since: str = "", older: str = "", match: str = "", filtered: str = "") -> Filter:
    """Return which tasks are wanted: all that the options say.

    Raises:
        click.UsageError: an age that is none, or a filter.
    """
    from hotqueue.monitor.filter_text import FilterError, parse
    from hotqueue.monitor.filters import ANYWHERE, Filter, Term, instant_of, span_of

    try:
        terms = parse(filtered).terms
    except FilterError as error:
        raise click.UsageError(f"--filter: {error}") from None
    try:
        for age in filter(None, (since, older)):
            instant_of(age, 0)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    said = [Term("task", task)] if task else []
    for age, signs in ((since, "<>"), (older, "><")):  # of an age, and of a time
        said += [Term("age", age, signs[span_of(age) is None])] if age else []
    return Filter((*terms, *said, *([Term(ANYWHERE, match)] if match else [])))
