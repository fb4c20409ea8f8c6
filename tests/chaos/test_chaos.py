"""The chaos run itself: its schedule and its account, and a short run with a fixed seed."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.faults import Fault
from tests.chaos.report import Run, Sent, account, read_runs, recovery, summary
from tests.chaos.schedule import GAP, SERVER_WEIGHTS, WEIGHTS, plan
from tests.processes import run_python
from tests.servers import NoServer, binary


@pytest.mark.parametrize("server", SERVER_WEIGHTS)
def test_the_same_seed_gives_the_same_faults(server: str) -> None:
    blows = plan(7, 300, server)
    assert blows == plan(7, 300, server) != plan(8, 300, server)
    assert {blow.kind for blow in blows} == WEIGHTS.keys() | SERVER_WEIGHTS[server].keys()
    assert all(one.at < other.at < 300 for one, other in pairwise(blows))
    hard = [blow for blow in blows if blow.kind in GAP]
    assert all(other.at - one.at >= GAP[one.kind] - 0.001 for one, other in pairwise(hard))


def test_a_short_schedule_has_every_fault_it_has_time_for() -> None:
    assert len({blow.kind for blow in plan(5, 25, "server")}) == len(WEIGHTS) + 2


def test_the_account() -> None:
    sent = Sent()
    sent.read(["1 attempt a id", "1 ack a A 0.1", "1 attempt b map", "6 unknown b 5.0 ConnectionFailed"])
    sent.read(["7 attempt c id", "7 ack c C 0.1", "1 attempt p poison", "2 ack p P 0.1", "8 attempt q delay", "9 ack q Q 0.1"])
    lines = ["1 start a 0 10", "2.5 start a 0 11", "2.6 end a 0 11", "3 start b 0 11", "3.1 end b 0 11", "4 start p 0 11"]
    lines += ["4 start z 0 12", "5 start q 0 12", "5.1 end q 0 12", "5.3 start q 1 12", "5.4 end q 1 12"]
    runs = read_runs(lines)
    faults = [Fault("kill a process", 2.0, pids=[10])]
    found = account(sent, runs, {"A", "Q"}, {"P"}, faults)
    assert (found["attempted"], found["acknowledged"], found["completed"]) == (5, 4, 4)
    assert (found["lost"], found["lost calls"]) == (1, ["c"])
    assert (found["unexpected"], found["recovered"], found["duplicated"], found["in flight at deaths"]) == (1, 1, 1, 2)
    assert (found["poisons"], found["poisons in the dead list"], found["failed though good"]) == (1, 1, [])
    assert (found["errors of calls"], found["slowest error of a call"]) == (Counter(ConnectionFailed=1), 5.0)
    assert recovery(runs, faults, sent)["kill a process"] == {"again": [0.5], "new": [0.5], "after": []}
    assert runs[0] == Run("a", 0, 10, 1.0, math.inf)
    assert summary([3.0, 1.0, 2.0]) == {"n": 3, "p50": 2.0, "p99": 3.0, "max": 3.0}


def test_what_a_failover_loses_is_counted_apart() -> None:
    sent = Sent()
    sent.read(["9 attempt a id", "9 ack a A 0.1", "19 attempt b id", "19 ack b B 0.1"])
    found = account(sent, [], set(), set(), [Fault("failover", 10.0, 12.0)])
    assert (found["lost"], found["lost at a failover"], found["lost calls"]) == (1, 1, ["b"])


@pytest.mark.skipif(sys.platform != "linux", reason="the chaos run finds processes in /proc")
@pytest.mark.timeout(200)
def test_a_short_run(tmp_path: Path) -> None:
    """Nothing is lost, nothing is recorded twice, nothing is left: under every fault, on a server of its own."""
    try:
        binary()
    except NoServer:
        pytest.skip("no redis-server on this machine")
    code = "import runpy; runpy.run_module('tests.chaos', run_name='__main__', alter_sys=True)"
    args = ["--server", "server", "--seconds", "22", "--seed", "5", "--json", tmp_path / "figures", "--keep", tmp_path / "run"]
    done = run_python(code, *args, timeout=180, check=False)
    log = tmp_path / "run" / "workers.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-4000:] if log.exists() else "")
    figures = json.loads((tmp_path / "figures").read_text())
    assert figures["lost"] == figures["unexpected"] == figures["recorded twice"] == 0
    assert figures["acknowledged"] > 300
    assert sum(figures["faults"].values()) > 10
