"""Fixtures of the tests that run what the documentation shows: a copy of the examples, and commands on the PATH."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, command_code

EXAMPLES = ROOT / "examples"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, in which they may leave files."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a database of this test's own, and with the commands on the PATH."""
    commands = tmp_path / "bin"
    commands.mkdir()
    worker = commands / "hotqueue-worker"
    worker.write_text(f"#!{sys.executable}\n{command_code('hotqueue-worker')}\n")
    worker.chmod(0o755)
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
