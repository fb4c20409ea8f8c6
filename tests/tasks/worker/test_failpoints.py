"""A process that passes a named point does there what its environment says, and elsewhere nothing."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.processes import run_python

PASS = """
import sys
from hotqueue.tasks.worker import failpoints
for point in sys.argv[1:]:
    print(point, failpoints.IS_ARMED)
    failpoints.at(point)
print("end")
"""


def passing(*points: str, fault: str = "") -> tuple[int, str]:
    """Return the exit code of a process that passes points, and where it came last."""
    done = run_python(PASS, *points, env={"HOTQUEUE_FAULT": fault} if fault else None, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_nothing_happens_unless_asked_for() -> None:
    assert passing("after_fetch", "before_start") == (0, "end")


def test_a_process_ends_at_the_point_that_is_named_and_at_no_other() -> None:
    assert passing("after_fetch", "after_run", "after_settle", fault="after_run:KILL") == (-signal.SIGKILL, "after_run True")
    assert passing("after_fetch", "after_settle", fault="after_run:KILL") == (0, "end")


def test_an_exit_runs_nothing_more() -> None:
    assert passing("before_settle", fault="before_settle:exit") == (0, "before_settle True")


def test_with_a_file_only_who_can_remove_it_obeys(tmp_path: Path) -> None:
    token = tmp_path / "once"
    token.touch()
    fault = f"after_run:TERM:{token}"
    assert passing("after_run", fault=fault) == (-signal.SIGTERM, "after_run True")
    assert not token.exists()
    assert passing("after_run", fault=fault) == (0, "end")
