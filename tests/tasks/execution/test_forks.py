"""Where a process ends that a task forked, and what it does not inherit of its worker. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORK = """
import os, signal, sys
from hotqueue.tasks.execution import forks

read, write = os.pipe()
forks.leave_signals_to_supervisor()
forks.close_in_children([write])
before = forks.count
forks.leave_if_forked(before)  # nothing was forked yet
pid = os.fork()
if pid:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.fstat(write) is not None)
else:
    {child}
"""
LOOK = """
    is_default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    try:
        os.fstat(write)
    except OSError:
        os._exit(20 + is_default)
    os._exit(30)
"""


def run(child: str) -> tuple[list[str], str]:
    env = {"PYTHONPATH": str(Path(__file__).parents[3])}
    program = FORK.format(child=child.strip())
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("None", 0, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit(7)", 7, ""),
        ("SystemExit('enough')", 1, "enough"),
        ("ValueError('bad')", 1, "ValueError: bad"),
    ],
)
def test_a_process_that_comes_back_to_us_ends_as_python_ends_it(error: str, status: int, said: str) -> None:
    printed, complained = run(f"forks.leave_if_forked(before, {error}); print('goes on')")
    assert printed == [str(status), "True"]
    assert said in complained
    assert bool(said) or not complained


def test_it_has_no_descriptor_of_ours_and_the_signals_of_any_program() -> None:
    assert run(LOOK) == (["21", "True"], "")
