"""What a failpoint does to a process that passes it: nothing, unless the environment names it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hotqueue.tasks.worker.failpoints import POINTS

PASS_ALL = "from hotqueue.tasks.worker import failpoints\nfor point in failpoints.POINTS: failpoints.at(point)\nprint('passed')"


def pass_all(fault: str) -> tuple[int, str]:
    env = {"HOTQUEUE_FAULT": fault, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", PASS_ALL], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(("fault", "ends"), [("", 0), ("nowhere:KILL", 0), (f"{POINTS[-1]}:exit", None), ("after_run:KILL", -9)])
def test_a_process_dies_where_the_environment_says_so(fault: str, ends: int | None) -> None:
    assert pass_all(fault) == ((0, "") if ends is None else (ends, "passed" if ends == 0 else ""))


def test_who_takes_the_file_away_obeys_and_nobody_after_it(tmp_path: Path) -> None:
    token = tmp_path / "once"
    token.touch()
    fault = f"before_start:TERM:{token}"
    assert pass_all(fault) == (-signal.SIGTERM, "")
    assert not token.exists()
    assert pass_all(fault) == (0, "passed")
