"""Workers that are told to leave: Ctrl-C in `run_worker`, and any worker while Redis is away; in time, and nothing lost."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.tasks import AsyncResult
from hotqueue.tasks.rules.lifecycle import State
from tests.crash.rig import Rig
from tests.support.processes import start_python
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

AOF = ("--appendonly", "yes", "--appendfsync", "always")
RUN_WORKER = "import logging, fault_tasks; logging.basicConfig(); print('ended', fault_tasks.queue.run_worker(threads={threads}))"
StartRig = Callable[..., tuple[Rig, RedisServer]]


class Here(Rig):
    """A rig whose worker is `run_worker` in a program of its own."""

    def run_worker(self, threads: int = 1) -> subprocess.Popen[str]:
        """Start the program and wait until its worker has registered."""
        with open(self.log, "a") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            self.workers.append(start_python(RUN_WORKER.format(threads=threads), env=self.env, **pipes))
        wait_until(self.registered)
        return self.workers[-1]


@pytest.fixture
def start_rig(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Callable[[], tuple[Here, RedisServer]]]:
    made: list[Here] = []

    def start() -> tuple[Here, RedisServer]:
        server = start_redis(*AOF)
        made.append(Here(tmp_path, server.url, server.client()))
        return made[-1], server

    yield start
    for rig in made:
        rig.stop()
        print(rig.said()[-4000:])


def seconds_to_end(worker: subprocess.Popen[str], *signals: int, code: int = 0) -> float:
    began = time.monotonic()
    for number in signals:
        worker.send_signal(number)
    assert worker.wait(30) == code
    return time.monotonic() - began


def sleeps(worker: subprocess.Popen[str]) -> bool:
    """Tell whether a process's main thread is in time.sleep."""
    return "nanosleep" in Path(f"/proc/{worker.pid}/wchan").read_text()


# --- Ctrl-C in run_worker ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_lets_the_task_in_hand_finish_and_leaves(start_rig: StartRig, threads: int) -> None:
    rig, _ = start_rig()
    running = rig.send(rig.tasks.work, 1, 1.0)
    waiting = [rig.send(rig.tasks.work, n, 1.0) for n in range(2, 6)]
    worker = rig.run_worker(threads)
    wait_until(lambda: len(rig.starts()) == threads)
    assert seconds_to_end(worker, signal.SIGINT) < allowed(5)
    assert f"ended {threads}\n" in rig.said()
    assert running.state is State.SUCCESS
    assert [r.state for r in waiting].count(State.PENDING) == 5 - threads
    assert len(rig.starts()) == threads


def test_a_second_ctrl_c_leaves_at_once_and_the_task_goes_back_uncharged(start_rig: StartRig) -> None:
    rig, _ = start_rig()
    running = rig.send(rig.tasks.work, 1, 60)
    worker = rig.run_worker()
    wait_until(lambda: rig.starts()["1"] and sleeps(worker))
    worker.send_signal(signal.SIGINT)
    wait_until(lambda: "once more to stop at once" in rig.said())
    wait_until(lambda: sleeps(worker), what="it sleeps again: in the moment before, Python overlooks a signal until then")
    assert seconds_to_end(worker, signal.SIGINT) < allowed(2)
    looked = rig.queue._tasks.broker.look(running.id)
    assert (looked.where, looked.history.deliveries, looked.history.errors) == ("ready", 0, [])
    assert rig.registered() == []


# --- while Redis is away ---------------------------------------------------------------------------------------------------


def test_run_worker_leaves_at_once_when_it_has_nothing_to_settle(start_rig: StartRig) -> None:
    rig, server = start_rig()
    worker = rig.run_worker()
    before = set(rig.registered())
    server.kill()
    wait_until(lambda: "trying again until it answers" in rig.said())
    assert seconds_to_end(worker, signal.SIGINT) < allowed(2)
    server.start()
    rig.start()
    wait_until(lambda: before.isdisjoint(rig.registered()), what=f"whoever comes next strikes it off: {before}")


def with_something_to_settle(rig: Here, server: RedisServer) -> tuple[subprocess.Popen[str], AsyncResult[Any]]:
    """Return a worker in a process of its own that has run a task and finds no Redis to tell, and the task's result."""
    result = rig.send(rig.tasks.work, 1, 0.5)
    worker = rig.run_worker()
    wait_until(lambda: rig.starts()["1"])
    server.kill()
    wait_until(lambda: rig.said().count("trying again until it answers") >= 2)  # the upkeep, and the worker with its outcome
    return worker, result


def test_run_worker_waits_a_moment_to_tell_what_it_did_and_else_leaves_it_to_others(start_rig: StartRig) -> None:
    rig, server = start_rig()
    worker, result = with_something_to_settle(rig, server)
    took = seconds_to_end(worker, signal.SIGINT)
    assert 3 < took < allowed(7)
    server.start()
    rig.start()
    began = time.monotonic()
    assert result.get(30) == 1
    assert time.monotonic() - began < allowed(4), "its lease was waited for"
    assert rig.starts()["1"] == 2
    rig.check_nothing_left()


def test_run_worker_tells_what_it_did_when_redis_comes_back_in_time(start_rig: StartRig) -> None:
    rig, server = start_rig()
    worker, result = with_something_to_settle(rig, server)
    worker.send_signal(signal.SIGINT)
    server.start()
    assert worker.wait(30) == 0
    assert result.get(30) == 1
    rig.check_nothing_left()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_leaves_at_once(start_rig: StartRig, told: int) -> None:
    rig, server = start_rig()
    worker = rig.start("-p2")
    before = set(rig.registered())
    server.kill()
    wait_until(lambda: "trying again until it answers" in rig.said())
    assert seconds_to_end(worker, told) < allowed(3)
    assert "Traceback" not in rig.said()
    server.start()
    rig.start()
    wait_until(lambda: before.isdisjoint(rig.registered()), what=f"whoever comes next strikes it off: {before}")


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_burst_leaves_within_its_grace(start_rig: StartRig, told: int) -> None:
    rig, server = start_rig()
    result = rig.send(rig.tasks.work, 1, 60)  # else there would be no burst any more
    worker = rig.start("-p2", "--burst", "--grace", "1")
    wait_until(lambda: rig.starts()["1"])
    server.kill()
    wait_until(lambda: "trying again until it answers" in rig.said())
    assert seconds_to_end(worker, told) < allowed(4)
    assert "Traceback" not in rig.said()
    assert "burst done" not in rig.said()
    server.start()
    rig.start()
    wait_until(lambda: rig.starts()["1"] == 2)
    assert rig.queue._tasks.broker.look(result.id).history.deliveries == 0
    assert result.revoke(terminate=True)
    wait_until(lambda: rig.unfinished() == 0)


def test_a_worker_that_has_something_to_settle_waits_for_redis_as_long_as_its_grace(start_rig: StartRig) -> None:
    rig, server = start_rig()
    result = rig.send(rig.tasks.work, 1, 0.5)
    worker = rig.start("--grace", "2")
    wait_until(lambda: rig.starts()["1"])
    server.kill()
    wait_until(lambda: rig.said().count("trying again until it answers") >= 2)  # the upkeep, and the worker with its outcome
    assert 1.5 < seconds_to_end(worker, signal.SIGTERM) < allowed(4)
    server.start()
    rig.start()
    assert result.get(30) == 1
    assert rig.queue._tasks.broker.look(result.id).history.deliveries == 0
    rig.check_nothing_left()


def test_leaving_in_the_middle_of_many_doubles_nothing_and_cries_no_wolf(start_rig: StartRig) -> None:
    """The worker and its supervisor both put back what was not started; that one finds it done is no loss to warn of."""
    rig, _ = start_rig()
    results = rig.tasks.work.map(range(20_000))
    first = rig.start("-p1", wait=False)
    wait_until(lambda: rig.counted("succeeded") > 1000)
    seconds_to_end(first, signal.SIGTERM)
    assert 0 < rig.unfinished() < 20_000
    assert "no longer ours" not in rig.said()
    rig.start("-p1")
    assert results.get(30) == list(range(20_000))
    assert set(rig.starts().values()) == {1}
    rig.check_nothing_left()
