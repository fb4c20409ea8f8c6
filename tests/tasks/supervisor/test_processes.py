"""The children of a supervisor together: which are which, and how the dead are collected."""

from __future__ import annotations

import os
import signal

from hotqueue import HotQueue
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.worker.child import Settings, Suspects
from tests.support.waiting import wait_until
from tests.tasks.supervised import waiting_child


def pool() -> Processes:
    return Processes(Settings(make_queue=HotQueue), Phase(lambda _text: None))


def test_a_child_that_ended_is_collected_once_with_how_it_ended() -> None:
    ours = pool()
    with waiting_child() as killed, waiting_child("raise SystemExit(3)") as exited, waiting_child() as alive:
        ours.all = [killed, exited, alive]
        os.kill(killed.pid, signal.SIGTERM)
        found = {}

        def collect() -> bool:
            for dead in ours.collect():
                found[dead.child.pid] = dead.code
                assert dead.peak_kb > 1000
                ours.all.remove(dead.child)
            return len(found) == 2

        wait_until(collect)
        assert found == {killed.pid: -signal.SIGTERM, exited.pid: 3}
        assert list(ours.collect()) == []
        assert ours.all == [alive]


def test_quarantine_processes_are_beside_the_others_and_those_at_their_exit_work_no_more() -> None:
    ours = pool()
    with waiting_child() as one, waiting_child() as quarantined, waiting_child() as leaving:
        quarantined.suspects = Suspects("q", "store", 1, 1)
        leaving.leaves_by = 0.0
        ours.all = [one, quarantined, leaving]
        assert ours.ordinary == [one, leaving]
        assert ours.working == [one, quarantined]
        ours.stop_all()
        assert [each.is_stopping for each in ours.all] == [True] * 3
