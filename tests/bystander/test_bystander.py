"""The bystander runs themselves, short: every task starts, none twice, and the figures are told; they are for reading."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bystander.__main__ import _figures
from tests.support.processes import ROOT, run_python
from tests.support.servers import binary

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_the_figures() -> None:
    lines = [[str(n), "1.0", str(1.0 + n / 1000), "7"] for n in range(100)]
    found = _figures([*lines, ["4", "1.0", "2.0", "8"], ["5", "1.0", "2.0", "7"]], 101, {7})
    assert {name: round(found[name], 6) for name in found} == {
        "tasks": 100,
        "missing": 1,
        "twice": 2,
        "p50": 50.0,
        "p99": 99.0,
        "max": 99.0,
    }
    assert _figures([["1", "1.0", "1.1", "9"], ["1", "1.0", "1.2", "9"]], 1, {7})["twice"] == 0  # another worker's


@pytest.mark.timeout(180)
def test_a_short_run(tmp_path: Path) -> None:
    binary()  # or there is none here
    code = "import sys; sys.argv[0] = 'bystander'; from tests.bystander.__main__ import main; sys.exit(main())"
    only = "a crash loop,one silent server of two"
    args = ["--seconds", 3, "--only", only, "--json", tmp_path / "figures", "--keep", tmp_path / "run"]
    done = run_python(code, *args, cwd=ROOT, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures").read_text())
    assert set(figures) == set(only.split(","))
    assert all(phase["tasks"] == 60 for by in figures.values() for phase in by.values())
