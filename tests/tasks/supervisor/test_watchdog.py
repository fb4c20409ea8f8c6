"""What a supervisor ends when it looks at its children: tasks over their limit, processes at their exit, all at the end."""

from __future__ import annotations

import logging
import time

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.supervisor import watchdog
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.supervisor.watchdog import Watchdog
from hotqueue.tasks.worker.child import Settings
from tests.support.waiting import wait_until
from tests.tasks.supervised import slot_of, waiting_child


def watch(*children: Child) -> Watchdog:
    state = Phase(lambda _text: None, upkeep=Upkeep([], 60_000))
    pool = Processes(Settings(make_queue=HotQueue), state)
    pool.all = list(children)
    return Watchdog(pool, state, ["mine", "ours"])


def test_a_process_whose_task_is_over_its_time_limit_is_ended_and_no_other() -> None:
    with waiting_child() as late, waiting_child() as well:
        late.slots = {0: slot_of("late", time_limit=0.001)}
        well.slots = {0: slot_of("well", time_limit=100.0)}
        dog = watch(late, well)

        def is_ended() -> bool:
            dog.look()
            return late.ended_for is not None

        wait_until(is_ended)
        assert (late.ended_for, well.ended_for) == (("late", "time limit"), None)


def test_a_task_that_was_revoked_is_ended_with_its_process() -> None:
    with waiting_child() as runs, waiting_child() as other:
        runs.slots, other.slots = {0: slot_of("t")}, {0: slot_of("u")}
        watch(runs, other).terminate("t")
        assert (runs.ended_for, other.ended_for) == (("t", "revoked"), None)


def test_a_process_that_makes_no_progress_is_ended_unless_it_runs_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STUCK", -1.0)
    with waiting_child() as stuck, waiting_child() as gone:
        stuck.slots, gone.slots = {0: slot_of(kind="a")}, {0: slot_of(kind="a")}
        gone.leaves_by = time.monotonic() + 100
        watch(stuck, gone).look()
        assert (stuck.ended_for, gone.ended_for) == (("", "stuck"), None)


def test_what_takes_longer_at_its_exit_than_the_grace_period_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    with waiting_child() as leaving, waiting_child() as well:
        leaving.leaves_by, well.leaves_by = time.monotonic() - 1, time.monotonic() + 100
        watch(leaving, well).look()
        assert (leaving.ended_for, well.ended_for) == (("", "shutdown"), None)
        assert f"process {leaving.pid} is ended: what it does at its exit" in caplog.text


def test_a_long_import_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with waiting_child() as slow, caplog.at_level(logging.WARNING, "hotqueue.worker"):
        slow.is_ready = slow.has_begun = False
        slow.born -= 60
        dog = watch(slow)
        for _ in range(3):
            dog.look()
    assert caplog.text.count(f"process {slow.pid} is still importing mine, ours after 5 s") == 1
