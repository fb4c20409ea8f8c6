"""Processes that die, stop or are stopped: nothing is lost, what ran is recorded once, work goes on within seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import WorkerLost, keys, presence
from hotqueue.tasks.broker.maintenance import Charge
from hotqueue.tasks.worker import failpoints
from tests.crash.deployment import Deployment
from tests.crash.workers import seconds_until
from tests.support.needs import lacking
from tests.support.processes import command_code, environment, is_gone, worker_processes
from tests.support.waiting import allowed, wait_until

pytestmark = pytest.mark.servers("server")
ROUNDS = int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "3"))
# Of a process: about 10 ms of 1 ms tasks; on a busy machine as many before them, which the Settler took and has not told of.
IN_FLIGHT = 2 * 10


@pytest.mark.parametrize("point", failpoints.POINTS)
def test_a_child_killed_at_any_point_loses_nothing(deployment: Deployment, point: str, tmp_path: Path) -> None:
    """Rows 1 and 2."""
    token = tmp_path / "token"
    deployment.start("-p2", fault=f"{point}:KILL:{token}")
    for _ in range(ROUNDS):
        before = deployment.repeated()
        token.touch()
        results = deployment.tasks.work.map(range(60))
        assert results.get(30) == list(range(60))
        wait_until(lambda: not token.exists())
        assert deployment.repeated() - before <= IN_FLIGHT
        deployment.forget()
    assert deployment.unfinished() == 0
    assert list(deployment.queue.dead()) == []


@pytest.mark.parametrize("how", ["KILL", "SEGV", "exit", "segfault"])
def test_a_task_that_kills_its_process_is_convicted_after_five_deaths(deployment: Deployment, how: str) -> None:
    """Rows 7, 8, 9 and 12."""
    deployment.start("-p2")
    killer = deployment.tasks.die.delay(1, how)
    good = deployment.tasks.work.map(range(100))
    assert good.get(30) == list(range(100))
    with pytest.raises(WorkerLost, match="5 times"):
        killer.get(30)
    assert deployment.numbers("death") == [1] * 5
    (dead,) = deployment.queue.dead()
    assert dead.deliveries == 5
    assert {"KILL": "SIGKILL", "SEGV": "SIGSEGV", "exit": "exited with 0", "segfault": "SIGSEGV"}[how] in dead.message
    assert "peak memory" in dead.message


@pytest.mark.parametrize("options", [("-p1", "-t8"), ("-p2",)], ids=["threads", "processes"])
def test_one_killer_among_many_good_tasks_harms_none(deployment: Deployment, options: tuple[str, ...]) -> None:
    """Row 12: all that ran with it share its deaths, run again, and finish."""
    deployment.start(*options)
    good = deployment.tasks.work.map(range(300))
    killer = deployment.tasks.die.delay(1)
    more = deployment.tasks.work.map(range(300, 600))
    assert good.get(60) + more.get(60) == list(range(600))
    with pytest.raises(WorkerLost):
        killer.get(60)
    assert [task.task for task in deployment.queue.dead()] == ["crash_tasks.die"]


def test_one_killer_among_async_tasks_harms_none(deployment: Deployment) -> None:
    """Row 12, with a hundred coroutines at a time."""
    deployment.start("-p1")
    good = deployment.tasks.awork.map(range(150))
    killer = deployment.tasks.adie.delay(1)
    more = deployment.tasks.awork.map(range(150, 300))
    assert good.get(60) + more.get(60) == list(range(300))
    with pytest.raises(WorkerLost):
        killer.get(60)
    assert [task.task for task in deployment.queue.dead()] == ["crash_tasks.adie"]


def test_a_dead_child_is_replaced_and_its_task_runs_again_within_a_second(deployment: Deployment) -> None:
    """Row 1: recovery by waitpid, not by a time-out."""
    worker = deployment.start("-p1")
    result = deployment.tasks.hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    (child,) = worker_processes(worker.pid)
    os.kill(child, signal.SIGKILL)
    assert seconds_until(lambda: deployment.numbers("start") == [1, 1]) < allowed(2.0)  # under 1 s on a quiet one
    deployment.release()
    assert result.get(30) == 1


def test_a_whole_worker_killed_is_noticed_by_another_on_its_host(deployment: Deployment) -> None:
    """Row 1: recovery by flock; the children die with their supervisor."""
    doomed = deployment.start("-p1")
    children = worker_processes(doomed.pid)
    result = deployment.tasks.hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    deployment.start("-p1")
    doomed.kill()
    assert seconds_until(lambda: all(is_gone(child) for child in children)) < allowed(1.0)
    assert seconds_until(lambda: deployment.numbers("start") == [1, 1]) < allowed(2.5)
    deployment.release()
    assert result.get(30) == 1


def test_a_worker_out_of_sight_is_given_up_when_its_lease_ends(deployment: Deployment) -> None:
    """Row 1, another host: no flock to be seen, so the lease decides."""
    doomed = deployment.start("-p1", "--lease", "2")
    result = deployment.tasks.hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    for name in deployment.registered():
        presence.forget(presence.folder(), name)
    deployment.start("-p1", "--lease", "2")
    doomed.kill()
    took = seconds_until(lambda: deployment.numbers("start") == [1, 1])
    assert 0.5 < took < allowed(6)  # a lease, a lease's worth of good health of its judge, a sweep
    deployment.release()
    assert result.get(30) == 1


def test_a_stopped_worker_that_comes_back_writes_nothing(deployment: Deployment) -> None:
    """Row 6: SIGSTOP beyond the lease, then SIGCONT; the late finisher is fenced off."""
    stopped = deployment.start("-p1", "--lease", "1")
    (child,) = worker_processes(stopped.pid)
    result = deployment.tasks.hold.delay(7)
    wait_until(lambda: deployment.numbers("start") == [7])
    for pid in (child, stopped.pid):
        os.kill(pid, signal.SIGSTOP)
    deployment.release()
    names = deployment.registered()
    for name in names:
        presence.forget(presence.folder(), name)  # as if on another host: a stopped process keeps its flock
    deployment.start("-p1", "--lease", "1")
    assert result.get(30) == 7
    record = deployment.queue._store.command("x", "GET", keys.result(deployment.name, result.id))
    for pid in (stopped.pid, child):
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "was given up" in deployment.said())
    assert deployment.queue._store.command("x", "GET", keys.result(deployment.name, result.id)) == record
    assert len(deployment.numbers("start")) == 2
    assert deployment.tasks.noop.map(range(50)).get(30) == list(range(50))


def test_a_stopped_worker_in_sight_is_not_taken_for_dead(deployment: Deployment) -> None:
    """Row 6: the kernel keeps a stopped process's flock, whatever its lease says."""
    stopped = deployment.start("-p1", "--lease", "1")
    (child,) = worker_processes(stopped.pid)
    result = deployment.tasks.hold.delay(7)
    wait_until(lambda: deployment.numbers("start") == [7])
    for pid in (child, stopped.pid):
        os.kill(pid, signal.SIGSTOP)
    deployment.release()
    deployment.start("-p1", "--lease", "1")
    key = keys.workers(deployment.name)

    def lease_is_over() -> bool:
        seconds, micros = deployment.queue._store.command("x", "TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        return any(
            float(at) < now - 2500 for at in deployment.queue._store.command(key, "ZRANGE", key, 0, -1, "WITHSCORES")[1::2]
        )

    wait_until(lease_is_over)
    for pid in (stopped.pid, child):
        os.kill(pid, signal.SIGCONT)
    assert result.get(30) == 7
    assert deployment.numbers("start") == [7]


def test_a_task_that_holds_the_gil_for_several_leases_is_not_taken_for_dead(deployment: Deployment) -> None:
    """Row 14: the supervisor renews from another process."""
    for _ in range(2):
        deployment.start("-p1", "--lease", "3")  # renewed each second: one that lasts no longer ends on a busy machine
    for name in deployment.registered():
        presence.forget(presence.folder(), name)  # only leases count
    assert deployment.tasks.hold_the_gil.delay(7.0).get(30) == "done"
    assert deployment.numbers("start") == [1]


@pytest.mark.parametrize("task", ["until_lost", "until_cancelled"])
def test_a_task_learns_that_its_worker_was_given_up(deployment: Deployment, task: str) -> None:
    """Row 6: sync tasks see `current_task.lost`, async ones are cancelled; what they return does not count."""
    deployment.start("-p1", "--lease", "2")
    result = getattr(deployment.tasks, task).delay(3)
    wait_until(lambda: deployment.numbers("start") == [3])
    broker = deployment.queue._tasks.broker
    for name in deployment.registered():
        broker.reap(name, known_dead=True, charge=Charge(ids=None))
    wait_until(lambda: deployment.numbers("lost") == [3])
    assert result.get(30) == 2
    assert deployment.numbers("start") == [3, 3]


def test_term_lets_tasks_finish_and_puts_the_rest_back_uncharged(deployment: Deployment) -> None:
    """Row 3: shutdown is free."""
    worker = deployment.start("-p1")
    first = deployment.tasks.hold.delay(0)
    rest = deployment.tasks.noop.map(range(50))
    wait_until(lambda: deployment.numbers("start") == [0])
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "finishing what runs" in deployment.said())
    deployment.release()
    assert worker.wait(30) == 0
    assert first.get(30) == 0
    assert deployment.unfinished() == 50
    assert deployment.queue.pending() == 50
    assert not deployment.queue._store.command("x", "EXISTS", keys.attempts(deployment.name))
    order = deployment.queue._store.command("x", "ZRANGE", keys.ready(deployment.name), 0, -1)
    assert [i.decode() for i in order] == [r.id for r in rest]
    deployment.start("-p1")
    assert rest.get(30) == list(range(50))


def test_grace_that_runs_out_interrupts_uncharged(deployment: Deployment) -> None:
    """Row 3: what does not finish in time goes back, and nobody is blamed."""
    worker = deployment.start("-p1", "--grace", "0.3")
    result = deployment.tasks.stubborn.delay(1, 3.0)
    wait_until(lambda: deployment.numbers("start") == [1])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert result.state == "PENDING"
    assert not deployment.queue._store.command("x", "EXISTS", keys.attempts(deployment.name))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_puts_back_at_once(deployment: Deployment, number: signal.Signals) -> None:
    """Row 4."""
    worker = deployment.start("-p1")
    deployment.tasks.stubborn.delay(1, 20.0)
    wait_until(lambda: deployment.numbers("start") == [1])
    worker.send_signal(number)
    wait_until(lambda: "finishing what runs" in deployment.said())
    worker.send_signal(number)
    assert seconds_until(lambda: worker.poll() is not None) < allowed(2.0)  # under 1 s where the machine is not shared
    assert worker.returncode == 0
    assert deployment.queue.pending() == 1


def test_ctrl_c_reaches_the_group_but_only_the_supervisor_answers(deployment: Deployment) -> None:
    """Row 5: in a terminal every process of the group gets SIGINT."""
    worker = deployment.start("-p2")
    result = deployment.tasks.hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    for pid in (*worker_processes(worker.pid), worker.pid):
        os.kill(pid, signal.SIGINT)
    deployment.release()
    assert worker.wait(30) == 0
    assert result.get(30) == 1
    assert deployment.numbers("start") == [1]


def test_a_rolling_restart_loses_nothing_and_charges_nothing(deployment: Deployment) -> None:
    """Row 75: one generation after the other under load."""
    results = deployment.tasks.noop.map(range(3000))
    worker: subprocess.Popen[str] | None = None
    for _ in range(ROUNDS * 2):
        successor = deployment.start("-p2")
        if worker is not None:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        worker = successor
    assert results.get(30) == list(range(3000))
    assert deployment.unfinished() == 0
    assert not deployment.queue._store.command("x", "EXISTS", keys.attempts(deployment.name))
    assert list(deployment.queue.dead()) == []


def test_random_kills_of_anything_lose_nothing(deployment: Deployment) -> None:
    """Rows 1 and 75: children and whole workers, at random moments."""
    deployment.start("-p2")
    results = deployment.tasks.work.map(range(800))
    killed = 0
    while deployment.unfinished() and killed < 4 * ROUNDS:
        done = 800 - deployment.unfinished()
        wait_until(lambda done=done: not deployment.unfinished() or 800 - deployment.unfinished() > done)
        worker = deployment.workers[-1]
        if killed % 4 == 3:
            worker.kill()
            deployment.start("-p2", wait=False)
        elif children := worker_processes(worker.pid):
            os.kill(children[killed % len(children)], signal.SIGKILL)
        killed += 1
    assert results.get(60) == list(range(800))
    assert sorted(set(deployment.numbers("end"))) == list(range(800))
    assert list(deployment.queue.dead()) == []


@pytest.mark.parametrize("point", [*failpoints.POINTS, "the whole worker"])
def test_five_queues_at_once_lose_as_little_as_one(deployment: Deployment, point: str, tmp_path: Path) -> None:
    """Row 69: row 1 with five queues and three priorities, by one worker; a task waits in the queue where it was."""
    names = [deployment.name, *(f"{deployment.name}-{n}" for n in range(4))]
    options = ("-p2", "-Q", ",".join(names))
    token = tmp_path / "token"
    worker = deployment.start(*options, fault="" if point == "the whole worker" else f"{point}:KILL:{token}")
    for _ in range(ROUNDS):
        token.touch()
        results = [deployment.tasks.work.apply_async((n,), queue=names[n % 5], priority=n % 3) for n in range(100)]
        if point == "the whole worker":
            wait_until(lambda: deployment.numbers("end"))
            worker.kill()
            worker = deployment.start(*options, wait=False)
            token.unlink()
        took = seconds_until(lambda results=results: [result.get(30) for result in results] == list(range(100)))
        assert took < allowed(8), "one of the queues waited for a lease"
        wait_until(lambda: not token.exists())
        assert deployment.repeated() <= IN_FLIGHT * (2 if point == "the whole worker" else 1)
        deployment.forget()
    assert [deployment.redis.hlen(keys.tasks(name)) for name in names] == [0] * 5
    assert [deployment.redis.zcard(keys.dead(name)) for name in names] == [0] * 5


@pytest.fixture
def start_as_pid_1(deployment: Deployment) -> Iterator[Callable[..., int]]:
    """``start_as_pid_1(*args)`` → the pid, as seen from here, of a worker that is PID 1 of a namespace, as in a container."""
    outer: list[subprocess.Popen[bytes]] = []
    inside = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    try:
        subprocess.run([*inside, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError) as error:
        raise lacking("the right to make a PID namespace") from error

    def start(*args: str) -> int:
        command = [sys.executable, "-c", command_code("hotqueue-worker"), "crash_tasks", *args]
        with open(deployment.log, "ab") as log:
            outer.append(subprocess.Popen([*inside, *command], env=environment(deployment.env), stdout=log, stderr=log))
        wait_until(deployment.registered)
        (pid,) = wait_until(lambda: children_of(outer[-1].pid))
        return pid

    start.outer = outer  # type: ignore[attr-defined]
    yield start
    for process in outer:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_worker_may_be_pid_1(deployment: Deployment, start_as_pid_1: Callable[..., int]) -> None:
    """Row 16: signals end it, its own dead are told from strangers', and orphans that it inherits do not stay zombies."""
    one = start_as_pid_1("-p1", "-u", deployment.env["CRASH_URL"])
    (own,) = children_of(one)
    assert deployment.tasks.leave_orphans.delay(40).get(30) == 0
    orphans = set(wait_until(lambda: (found := children_of(one)) and len(found) > 20 and found)) - {own}
    wait_until(lambda: not orphans & set(children_of(one)), what="PID 1 has reaped what it inherited")
    assert children_of(one) == [own]
    workers = len(deployment.registered())
    result = deployment.tasks.hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    os.kill(own, signal.SIGKILL)
    wait_until(lambda: deployment.numbers("start") == [1, 1])
    deployment.release()
    assert result.get(30) == 1
    with pytest.raises(WorkerLost, match="5 times"):
        deployment.tasks.die.delay(2).get(30)
    # What a killed process sent last, its registration maybe, may arrive after it was reaped; its lease ends that.
    wait_until(lambda: len(deployment.registered()) <= workers)
    os.kill(one, signal.SIGTERM)
    assert start_as_pid_1.outer[0].wait(30) == 0  # type: ignore[attr-defined]
    assert deployment.registered() == []
