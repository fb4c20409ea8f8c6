"""Processes whose parents died: who is not PID 1 leaves them alone. As PID 1: tests/crash/test_deaths.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hotqueue.tasks.supervisor.orphans import Orphans
from tests.support.waiting import wait_until


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_is_not_pid_1_collects_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        wait_until(lambda: state_of(process.pid) == "Z")
        orphans = Orphans()
        for _ in range(3):
            orphans.collect([])
        assert state_of(process.pid) == "Z"
        assert process.wait() == 0
