"""What a task leaves behind in its process, and what is put right before the next one. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import logging, os, signal
from hotqueue.tasks.execution import forks
from hotqueue.tasks.execution.repairs import Repairs

logging.basicConfig(format="%(message)s")
ours, _ = os.pipe()
repairs = Repairs([ours])
"""


def run(*lines: str) -> tuple[list[str], str]:
    env = {"PYTHONPATH": str(Path(__file__).parents[3])}
    program = HEAD + "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("leaves", "mends", "looks", "says"),
    [
        (
            "signal.signal(signal.SIGALRM, lambda *_: None); signal.alarm(50)",
            "repairs.after_task('my.task')",
            "signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)",
            "my.task ended and left an alarm on",
        ),
        (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
            "repairs.between_tasks()",
            "signal.getsignal(signal.SIGTERM) is forks.leave_to_supervisor",
            "a task took SIGTERM",
        ),
        (
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])",
            "repairs.between_tasks()",
            "signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())",
            "a task left signals blocked",
        ),
        ("os.close(0)", "repairs.between_tasks()", "os.fstat(0) is not None", "a task closed a standard stream"),
    ],
    ids=["alarm", "handler", "mask", "standard stream"],
)
def test_it_is_put_right_and_said_once(leaves: str, mends: str, looks: str, says: str) -> None:
    printed, said = run(leaves, mends, f"print({looks})", leaves, mends)
    assert printed == ["True"]
    assert said.count(says) == 1


def test_a_descriptor_of_ours_that_is_gone_cannot_be_put_right_but_its_number_is_taken() -> None:
    lines = ["print(repairs.between_tasks())", "os.close(ours)", "print(repairs.between_tasks())", "repairs.fill_holes()"]
    printed, _ = run(*lines, "print(os.path.samestat(os.fstat(ours), os.stat(os.devnull)))")
    assert printed == ["True", "False", "True"]
