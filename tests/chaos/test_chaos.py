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
from tests.chaos.report import Run, Sent, account, held, read_runs, recovery, summary
from tests.chaos.schedule import GAP, SERVER_WEIGHTS, TAKE_UP, UPGRADE, WEIGHTS, plan
from tests.chaos.wire import NEXT, NOW
from tests.support.processes import run_python
from tests.support.servers import binary


@pytest.mark.parametrize("server", SERVER_WEIGHTS)
def test_the_same_seed_gives_the_same_faults(server: str) -> None:
    blows = plan(7, 300, server)
    assert blows == plan(7, 300, server) != plan(8, 300, server)
    assert {blow.kind for blow in blows} == WEIGHTS.keys() | SERVER_WEIGHTS[server].keys() | {UPGRADE, TAKE_UP}
    assert all(one.at < other.at < 300 for one, other in pairwise(blows))
    hard = [blow for blow in blows if blow.kind in GAP]
    assert all(other.at - one.at >= GAP[one.kind] - 0.001 for one, other in pairwise(hard))


def test_a_short_schedule_has_every_fault_it_has_time_for() -> None:
    assert len({blow.kind for blow in plan(5, 25, "server")}) == len(WEIGHTS) + 4


def test_a_run_upgrades_one_worker_after_the_other() -> None:
    upgrades = [blow for blow in plan(1, 100, "server", workers=3) if blow.kind == UPGRADE]
    assert [(blow.at, int(blow.aim * 3)) for blow in upgrades] == [(30.0, 0), (45.0, 1), (60.0, 2)]


def told(*lines: str) -> Sent:
    """Return what producers wrote down; an attempt is of today's wire version unless it says otherwise."""
    sent = Sent()
    sent.read(f"{line} {NOW}" if " attempt " in line and len(line.split()) == 4 else line for line in lines)
    return sent


def ran(*lines: str) -> list[Run]:
    """Return runs, by workers of today unless they say otherwise; ids are capital letters."""
    return read_runs(f"{line} {NOW} {line.split()[2].upper()}" if len(line.split()) == 5 else line for line in lines)


def test_the_account() -> None:
    sent = told("1 attempt a id", "1 ack a A 0.1", "1 attempt b map", "6 unknown b 5.0 ConnectionFailed")
    sent.read([f"7 attempt c id {NOW}", "7 ack c C 0.1", f"1 attempt p poison {NOW}", "2 ack p P 0.1"])
    sent.read([f"8 attempt q delay {NOW}", "9 ack q Q 0.1"])
    lines = ["1 start a 0 10", "2.5 start a 0 11", "2.6 end a 0 11", "3 start b 0 11", "3.1 end b 0 11", "4 start p 0 11"]
    lines += ["4 start z 0 12", "5 start q 0 12", "5.1 end q 0 12", "5.3 start q 1 12", "5.4 end q 1 12"]
    runs = ran(*lines)
    faults = [Fault("kill a process", 2.0, pids=[10], held=["A", "Q", "other"])]
    found = account(sent, runs, {"A", "Q"}, {"P"}, faults)
    assert (found["attempted"], found["acknowledged"], found["completed"]) == (5, 4, 4)
    assert (found["lost"], found["lost calls"]) == (1, ["c"])
    assert (found["unexpected"], found["recovered"], found["duplicated"], found["in flight at deaths"]) == (1, 1, 1, 2)
    assert (found["poisons"], found["poisons in the dead list"], found["failed though good"]) == (1, 1, [])
    assert (found["errors of calls"], found["slowest error of a call"]) == (Counter(ConnectionFailed=1), 5.0)
    assert recovery(runs, faults, sent)["kill a process"] == {"held": [3.0], "again": [0.5], "new": [0.5], "after": []}
    assert runs[0] == Run("a", 0, 10, 1.0, math.inf, NOW, "A")
    assert summary([3.0, 1.0, 2.0]) == {"n": 3, "p50": 2.0, "p99": 3.0, "max": 3.0}
    assert summary([3.0], "kill the server", "after")["target"] == 2.0


def test_unknown_outcomes() -> None:
    sent = told("1 attempt a id", "6 unknown a 5 ConnectionFailed", "11 unknown a 5 ConnectionFailed", "12 ack a A 0.1")
    sent.read(["12 again a known", f"1 attempt b map {NOW}", "6 unknown b 5 ConnectionFailed", "7 ack b B 0.1", "7 again b new"])
    sent.read([f"1 attempt c delay {NOW}", "6 unknown c 5 ConnectionFailed", f"1 attempt d delay {NOW}", "6 unknown d 5 X"])
    runs = ran("8 start a 0 1", "9 end a 0 1", "8 start b 0 1", "9 end b 0 1", "8 start c 0 1", "9 end c 0 1")
    found = account(sent, runs, {"A", "B"}, set(), [])
    assert (found["outcome unknown at first"], found["repeated under their ids"], found["of these stored already"]) == (4, 2, 1)
    assert (found["left unknown"], found["recovered"], found["lost"], found["doubled"]) == (2, 1, 0, 0)
    assert found["errors of calls"] == {"ConnectionFailed": 3, "X": 1}
    twice = [*runs, *ran(f"10 start a 0 1 {NOW} OTHER")]
    assert account(sent, twice, {"A", "B"}, set(), [])["doubled"] == 1


def test_two_wire_versions() -> None:
    sent = told(
        f"1 attempt a id {NEXT}", "1 ack a A 0.1", f"8 attempt b id {NEXT}", "8 ack b B 0.1", "1 attempt c id", "1 ack c C 0.1"
    )
    faults = [Fault(UPGRADE, 5.0, pids=[1]), Fault("kill a process", 8.6, pids=[3]), Fault(UPGRADE, 20.0, pids=[2])]
    right = ran(f"7 start a 0 3 {NEXT} A", f"8.5 start b 0 3 {NEXT} B", f"9 start c 0 3 {NEXT} C", f"9.5 start b 0 4 {NEXT} B")
    found = account(sent, right, {"A", "B", "C"}, set(), faults)
    assert (found["of the next wire version"], found["kept until there was a worker for it"]) == (2, 1)
    assert found["seconds from then until all of these had begun"] == 2.0
    assert (found["run by a worker too old"], found["of today's version, run by a newer worker"]) == (0, 1)
    assert recovery(right, faults, sent)["of the next wire version"]["again"] == [pytest.approx(0.9)]
    assert account(sent, ran("7 start a 0 3"), {"A"}, set(), faults)["run by a worker too old"] == 1


def test_times_that_something_else_made_longer_have_a_row_of_their_own() -> None:
    sent = told("1 attempt a id", "1 ack a A 0.1")
    runs = ran("1 start a 0 10", "4 start a 0 11", "4.1 end a 0 11")
    kill = Fault("kill a process", 2.0, pids=[10])
    for other, row in [
        (Fault("kill the server", 3.0, 3.5), "with another fault"),
        (Fault("kill the server", 5.0, 5.5), "kill a process"),
        (Fault("pause a worker", 3.0, 9.0, pids=[12]), "with another fault"),
        (Fault("pause a worker", 1.5, 9.0, pids=[12]), "kill a process"),
    ]:
        assert recovery(runs, [kill, other], sent)[row]["again"] == [2.0], other


def test_what_a_failover_loses_is_counted_apart() -> None:
    sent = told("9 attempt a id", "9 ack a A 0.1", "19 attempt b id", "19 ack b B 0.1")
    found = account(sent, [], set(), set(), [Fault("failover", 10.0, 12.0)])
    assert (found["lost"], found["lost at a failover"], found["lost calls"]) == (1, 1, ["b"])


def test_what_a_server_had_not_written_when_it_was_killed_is_counted_apart() -> None:
    sent = told("9 attempt a id", "9 ack a A 0.1", "6 attempt b id", "6 ack b B 0.1")
    kill = Fault("kill the server", 10.0, 12.0)
    assert account(sent, [], set(), set(), [kill])["lost"] == 2
    kill.is_on_lagging_disk = True
    found = account(sent, [], set(), set(), [kill])
    assert (found["lost"], found["lost by a server killed while its disk lagged"], found["lost calls"]) == (1, 1, ["b"])
    assert held(found).startswith("held: 1 lost by a server killed while its disk lagged, nothing recorded twice")


@pytest.mark.skipif(sys.platform != "linux", reason="the chaos run finds processes in /proc")
@pytest.mark.timeout(200)
def test_a_short_run(tmp_path: Path) -> None:
    """Nothing is lost, nothing is recorded twice, nothing is left: under every fault, on a server of its own."""
    binary()  # or there is none here
    code = "import runpy; runpy.run_module('tests.chaos', run_name='__main__', alter_sys=True)"
    args = ["--server", "server", "--seconds", "22", "--seed", "5", "--json", tmp_path / "figures", "--keep", tmp_path / "run"]
    done = run_python(code, *args, timeout=180, check=False)
    log = tmp_path / "run" / "workers.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text()[-4000:] if log.exists() else "")
    figures = json.loads((tmp_path / "figures").read_text())
    assert figures["lost"] == figures["unexpected"] == figures["recorded twice"] == 0
    assert figures["acknowledged"] > 300
    assert sum(figures["faults"].values()) > 10
