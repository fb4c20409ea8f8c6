"""The options by which commands choose tasks: by name, queue, age and text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from hotqueue.cli import completion
from hotqueue.cli.reading import queues_option

if TYPE_CHECKING:
    from hotqueue.monitor.filters import Wanted


def filter_options(command: Any) -> Any:
    """Give a command the options by which tasks are chosen."""
    for option in (
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


def wanted_of(task: str, since: str, older: str, match: str) -> Wanted:
    """Return which tasks are wanted.

    Raises:
        click.UsageError: an age that is none.
    """
    from hotqueue.monitor.filters import Wanted, instant_of

    now = int(time.time() * 1000)
    try:
        return Wanted(task, instant_of(since, now) if since else None, instant_of(older, now) if older else None, match)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
