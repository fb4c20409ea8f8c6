"""The soak itself, short: every kind of its tasks ends as it should. Whether all stays level takes an hour (`make soak`)."""

from __future__ import annotations

import sys

import pytest

from tests.soak import gauge
from tests.soak.__main__ import uneven
from tests.support.processes import ROOT, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_two_rounds_end_as_they_should() -> None:
    code = "import sys; sys.argv[0] = 'soak'; from tests.soak.__main__ import main; sys.exit(main())"
    done = run_python(code, "--rounds", 2, "--seconds", 1, cwd=ROOT, timeout=110)
    assert done.stdout.splitlines()[-1].startswith("held"), done.stdout


def test_what_grows_is_seen() -> None:
    level = [gauge.Reading(30.0, 10, 5, 0)] * 100
    assert uneven({"one": level}) == []
    leaking = [gauge.Reading(30.0 + n / 5, 10 + n, 5, 0) for n in range(100)]
    assert [wrong.partition(" of ")[0] for wrong in uneven({"one": leaking})] == ["memory", "descriptors"]
