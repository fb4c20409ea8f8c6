"""`hotqueue demo` shows what it says and leaves nothing running."""

from __future__ import annotations

import re

from tests.support.processes import run_command


def test_it_runs_to_its_end_and_leaves_nothing() -> None:
    told = run_command("hotqueue", "demo", check=True).stdout
    own = re.search(r"process (\d+) enqueued", told)
    ran = set(re.findall(r"run by process (\d+)", told))
    assert own
    assert own[1] not in ran
    assert "square(5) = 25" in told
    assert "5,000 enqueued, run and returned in" in told
    assert "succeeded at attempt 3" in told
    assert "raised here what it raised there: ValueError('the moon is not for sale')" in told
    assert re.search(r"slow\(\) was run again, by process \d+", told)
    assert "then their sum, by another task: 338,350" in told
    assert re.search(r"max_concurrency=2: at most [12] ran at a time", told)
    assert "5 … 4 … 3 … 2 … 1 … done" in told
    assert len(set(re.findall(r"periodic:tick:(\S+Z)", told))) == 2
    assert "README.md" in told
