"""A short run of random workflows on workers whose processes are killed; more of them: ``python -m tests.chaos.graphs``."""

from __future__ import annotations

import sys

import pytest

from tests.chaos.graphs import main


@pytest.mark.skipif(sys.platform == "win32", reason="workers need fork and signals")
def test_random_workflows_come_to_what_they_must_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--graphs", "12", "--seed", "11"]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.endswith("outcomes 0, hangs 0, other values 0, keys left 0\n")
