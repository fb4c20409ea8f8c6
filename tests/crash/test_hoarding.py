"""No task waits behind a long one while another process is idle, however large the batches have grown."""

from __future__ import annotations

import os
import signal

import pytest

from tests.crash.deployment import Deployment
from tests.crash.rig import Rig
from tests.support.processes import worker_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


@pytest.mark.parametrize("longs", [1, 2])
@pytest.mark.parametrize("options", [("-p3",), ("-p1", "-t3")], ids=["processes", "threads"])
def test_short_tasks_pass_long_ones(deployment: Deployment, options: tuple[str, ...], longs: int) -> None:
    """Workers warmed up by short tasks fetch hundreds, one of them ahead; a long one among them must not keep the rest."""
    deployment.start(*options)
    assert len(deployment.tasks.noop.map(range(3000)).get(30)) == 3000
    before = deployment.tasks.noop.map(range(500))
    held = [deployment.tasks.hold.delay(n) for n in range(longs)]
    after = deployment.tasks.noop.map(range(1500))
    assert before.get(30) == list(range(500))
    assert after.get(30) == list(range(1500))
    wait_until(lambda: sorted(deployment.numbers("start")) == list(range(longs)))
    assert not any(result.ready() for result in held)
    deployment.release()
    assert [result.get(30) for result in held] == list(range(longs))
    wait_until(lambda: deployment.unfinished() == 0)


def test_a_lone_worker_takes_its_own_hoard_again(deployment: Deployment) -> None:
    """What was taken back from behind a long task runs when that ends, in order, once."""
    deployment.start("-p1")
    assert len(deployment.tasks.noop.map(range(3000)).get(30)) == 3000
    held = deployment.tasks.hold.delay(0)
    after = deployment.tasks.work.map(range(1, 101))
    wait_until(lambda: deployment.numbers("start") == [0])
    deployment.release()
    assert held.get(30) == 0
    assert after.get(30) == list(range(1, 101))
    assert deployment.numbers("start") == list(range(101))


def test_what_a_frozen_sleeper_was_given_goes_to_others(rig: Rig) -> None:
    """A worker that sleeps is given a task by Redis itself: one that does not wake up must not keep it."""
    worker = rig.start("-p2")
    wait_until(lambda: len(rig.registered()) == 4)  # two for async tasks
    assert [rig.tasks.work.delay(n).get(30) for n in range(10, 30)] == list(range(10, 30))
    wait_until(lambda: sum("b" in client["flags"] for client in rig.redis.client_list()) == 4)
    frozen = worker_processes(worker.pid)[0]
    os.kill(frozen, signal.SIGSTOP)
    results = [rig.tasks.work.delay(n) for n in range(4)]
    assert [result.get(30) for result in results] == [0, 1, 2, 3]
    os.kill(frozen, signal.SIGCONT)
    rig.check_nothing_left()
    assert all(times == 1 for times in rig.starts().values())


def test_what_a_sleeper_that_was_stopped_with_its_supervisor_was_given_goes_to_others(rig: Rig) -> None:
    """Ctrl-Z: nobody of that worker can take anything back, and its lock says that it lives."""
    stopped = rig.start("-p1", "--lease", "6")
    rig.start("-p1", "--lease", "6")
    assert [rig.tasks.work.delay(n).get(30) for n in range(10, 30)] == list(range(10, 30))
    wait_until(lambda: sum("b" in client["flags"] for client in rig.redis.client_list()) == 4)
    pids = [stopped.pid, *worker_processes(stopped.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    results = [rig.tasks.work.delay(n) for n in range(4)]
    assert [result.get(30) for result in results] == [0, 1, 2, 3]
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    rig.check_nothing_left()
    assert all(times == 1 for times in rig.starts().values())
