"""What importing hotqueue costs: neither redis nor cloudpickle before a queue is used; every public name is real."""

from __future__ import annotations

import json
import tomllib

import pytest

import hotqueue
from tests.support.processes import ROOT, command_code, run_python

HEAVY = {"redis", "cloudpickle", "asyncio", "multiprocessing"}


def modules_after(code: str, **options: object) -> set[str]:
    """Return the modules that a new process has imported after running `code`."""
    tail = "\nimport json, sys; print('\\n' + json.dumps(list(sys.modules)))"
    return set(json.loads(run_python(code + tail, **options).stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    imported = modules_after("import hotqueue; hotqueue.__version__; hotqueue.QueueFull; dir(hotqueue)")
    assert not imported & {*HEAVY, "hotqueue.moved"}


@pytest.mark.parametrize("name", hotqueue.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hotqueue, name) is not None
    assert name in dir(hotqueue)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'HotKeue'"):
        hotqueue.HotKeue  # noqa: B018


def test_a_star_import_brings_all_public_names() -> None:
    run_python("from hotqueue import *; HotQueueError, Retry, __version__")


def run_to_exit(code: str) -> str:
    """Return source text that runs `code` and survives its SystemExit."""
    return f"import sys\ntry:\n    {code}\nexcept SystemExit as error:\n    assert not error.code, error.code"


COMMANDS = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version_of_a_command_import_nothing_heavy(command: str, option: str) -> None:
    assert not modules_after(run_to_exit(f"sys.argv[1:] = [{option!r}]; {command_code(command)}")) & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_shell_completion_imports_nothing_heavy(command: str) -> None:
    variable = f"_{command.replace('-', '_')}_complete".upper()
    env = {variable: "bash_complete", "COMP_WORDS": f"{command} --", "COMP_CWORD": "1"}
    code = run_to_exit(command_code(command)) + "\nimport click"
    done = run_python(code, env=env)
    assert "--version" in done.stdout
    assert not modules_after(code, env=env) & HEAVY


def test_run_worker_imports_nothing_that_only_a_supervised_process_needs() -> None:
    """Nor could import it on Windows: signals, timers and masks of POSIX."""
    assert "hotqueue.tasks.execution.repairs" not in modules_after("import hotqueue.tasks.supervisor.inprocess")


def test_defining_a_task_imports_no_redis() -> None:
    """A module of tasks is imported by programs that send none, and by supervisors."""
    code = "from hotqueue import HotQueue; HotQueue('q', url='redis://127.0.0.1:1').task(print, name='work')"
    assert not modules_after(code) & {"redis", "cloudpickle", "multiprocessing"}
