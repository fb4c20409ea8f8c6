"""How a command starts and ends: one line for each mistake of the user's, never a traceback; exit codes.

Imports no redis, so that --help, --version and shell completion are quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from hotqueue import __version__
from hotqueue.errors import HotQueueError

settings = {"help_option_names": ["-h", "--help"]}  # of every command
version_option = click.version_option(__version__, "--version", "-V", message="%(prog)s %(version)s")


def run(
    command: click.Command, name: str, *, usage: int = 2, defaults: Callable[[click.Command], dict[str, Any]] | None = None
) -> NoReturn:
    """Run a click command as the process's main program and exit.

    Args:
        name: what the user typed, before each message.
        usage: exit code of wrong options or arguments.
        defaults: returns what options are that neither the command line nor the environment says.
    """
    try:
        more: dict[str, Any] = {} if defaults is None else {"default_map": defaults(command)}
        status = command.main(prog_name=name, standalone_mode=False, **more)
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        origin = _origin(error)
        _say(name, error.format_message().rstrip(".") + origin if origin else error.format_message())
        sys.exit(usage if isinstance(error, click.UsageError) else 1)
    except HotQueueError as error:
        _say(name, str(error))
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # `hotwatch | head`: nobody reads on; nor may the flush at exit fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _origin(error: click.ClickException) -> str:
    """Say where a wrong value comes from, when that is not the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or error.param.name is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f" (from ${error.ctx.auto_envvar_prefix}_{error.param.name.upper()})"
    return " (from [tool.hotqueue] in pyproject.toml)" if source is click.core.ParameterSource.DEFAULT_MAP else ""


def _say(name: str, message: Any) -> None:
    click.echo(f"{name}: {' '.join(str(message).split())}", err=True)
