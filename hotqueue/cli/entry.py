"""How a command starts and ends: one line for each mistake of the user's, never a traceback; exit codes.

Imports no redis, so that --help, --version and shell completion are quick.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from hotqueue import __version__
from hotqueue.errors import HotQueueError
from hotqueue.monitor.words import printable
from hotqueue.runtime import descriptors

settings = {"help_option_names": ["-h", "--help"]}  # of every command
BROKEN_PIPE = 128 + 13  # exit code of a program that SIGPIPE ended, as a shell tells it
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
    descriptors.open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding does not have
    code, complaint = _outcome(
        lambda: command.main(prog_name=name, standalone_mode=False, **_more(command, defaults)), name, usage
    )
    sys.exit(_all_written(code, complaint, name))


def _more(command: click.Command, defaults: Callable[[click.Command], dict[str, Any]] | None) -> dict[str, Any]:
    return {} if defaults is None else {"default_map": defaults(command)}


def _outcome(main: Callable[[], object], name: str, usage: int) -> tuple[int, OSError | None]:
    """Run a command; return its exit code, after a line for its mistake, and why its output was not taken, if it was not."""
    stdout = sys.stdout
    try:
        status = main()
        return status if isinstance(status, int) else 0, None
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code, None if sys.stdout is stdout else BrokenPipeError()  # click makes an exit of it, and other streams
    except click.ClickException as error:
        origin = _origin(error)
        _say(name, error.format_message().rstrip(".") + origin if origin else error.format_message())
        return usage if isinstance(error, click.UsageError) else 1, None
    except HotQueueError as error:
        _say(name, str(error))
        return 1, None
    except (click.Abort, KeyboardInterrupt):
        return 130, None
    except OSError as error:
        if _is_of_output(error):
            return 1, error
        if not (shortage := descriptors.shortage(error)):
            raise
        _say(name, shortage)
        return 1, None


def _is_of_output(error: OSError) -> bool:
    """Tell whether it was raised as something was printed: by click, which prints all that commands answer."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("click.")


def _all_written(code: int, complaint: OSError | None, name: str) -> int:
    """Return the exit code of a command, also where its output was not taken; the flush of Python at its exit then succeeds."""
    try:
        sys.stdout.flush()
    except OSError as error:
        complaint = complaint or error
    except ValueError:
        pass  # closed
    if complaint is not None:
        descriptors.discard(1)
        if isinstance(complaint, BrokenPipeError):  # `hotwatch | head`
            code = BROKEN_PIPE
        else:
            code = code or 1
            _say(name, f"cannot write to standard output: {complaint.strerror}")
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        descriptors.discard(2)
    return code


def _origin(error: click.ClickException) -> str:
    """Say where a wrong value comes from, when that is not the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or error.param.name is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return f" (from ${error.ctx.auto_envvar_prefix}_{error.param.name.upper()})"
    return " (from [tool.hotqueue] in pyproject.toml)" if source is click.core.ParameterSource.DEFAULT_MAP else ""


def _say(name: str, message: Any) -> None:
    say(f"{name}: {printable(' '.join(str(message).split()))}")  # a name of the store may hold what moves a cursor


def say(text: str) -> None:
    """Print something about the work itself to standard error, if anybody takes it."""
    _stderr.write(f"{text}\n".encode(getattr(sys.stderr, "encoding", None) or "utf-8", "backslashreplace"))


_stderr = descriptors.Lines(2)


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal, where it is seen even if the output goes into a file; elsewhere only --yes will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: say --yes")
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort:  # by Ctrl-C or Ctrl-D, behind which no line has ended
        say("")
    say("hotqueue: nothing was changed")
    raise click.Abort


def pass_on(ctx: click.Context, given: dict[str, Any]) -> None:
    """Have what stands before the name of a command hold for it as well, where it says nothing else: `hotqueue --url U info`."""
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    said = {name: value for name, value in given.items() if ctx.get_parameter_source(name) in sources}
    if ctx.invoked_subcommand is not None:
        ctx.default_map = {ctx.invoked_subcommand: said}


def json_text(value: Any) -> str:
    """Return a value as JSON that can be printed here: in ASCII where the terminal, or what reads on, takes no Unicode."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    return json.dumps(value, indent=2, ensure_ascii=not unicode)
