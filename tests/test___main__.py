"""python -m hotqueue is the command hotqueue."""

from __future__ import annotations

import subprocess
import sys

from hotqueue import __version__
from tests.support.processes import environment


def test_it_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hotqueue", "--version"], capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    assert done.stdout == f"hotqueue {__version__}\n"
