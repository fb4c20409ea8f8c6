"""Suspects: who is charged when a process or a host is lost, and that nobody waits for a task that has to run apart.

What belongs here: one that killed its process alone, several that shared a death (threads, coroutines), who is found out and
within how many deaths, tasks that may start once only, lost hosts; a suspect beside long and many good tasks; quarantine
processes under time limits, revoke, a stop, the death of their supervisor; bursts; several queues and stores.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, TaskRevoked, TimeLimitExceeded, WorkerLost, keys, presence
from hotqueue.tasks.client.handle import handle_of
from tests.crash.deployment import Deployment
from tests.crash.workers import seconds_until
from tests.support.processes import start_command, worker_processes
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

pytestmark = pytest.mark.servers("server")


def lines(deployment: Deployment, part: str) -> list[str]:
    return [line for line in deployment.said().splitlines() if part in line]


def history_of(deployment: Deployment, result: Any) -> Any:
    return deployment.queue._tasks.broker.look(result.id).history


def deaths_at_most(side_by_side: int, max_deliveries: int = 5) -> int:
    """Return the bound that docs/guarantees.md states."""
    return 1 + math.ceil(math.log2(side_by_side)) + max_deliveries


# --- who is found out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "coroutines"])
def test_of_eight_side_by_side_the_culprit_and_it_alone_is_convicted_within_the_bound(deployment: Deployment, kind: str) -> None:
    killer = (deployment.tasks.die_late if kind == "threads" else deployment.tasks.adie_late).delay(0, 0.4)
    work = deployment.tasks.work if kind == "threads" else deployment.tasks.awork
    innocent = [work.delay(n, 1.5) for n in range(1, 8)]
    deployment.start("-p1", "-t8")
    with pytest.raises(WorkerLost, match="5 times"):
        killer.get(60)
    assert [result.get(60) for result in innocent] == list(range(1, 8))
    assert len(deployment.numbers("death")) <= deaths_at_most(8)
    (dead,) = deployment.queue.dead()
    assert (dead.id, dead.deliveries) == (killer.id, 5)
    assert 1 <= dead.shared_deaths <= 4
    assert {error["kind"] for error in dead.errors} <= {"lost", "shared death", "error"}
    assert not deployment.redis.exists(keys.suspects(deployment.name))


def test_the_first_death_that_several_share_convicts_nobody(deployment: Deployment) -> None:
    """They run again side by side, at once; the log and the history say so."""
    worker = deployment.start("-p1", "-t3")
    held = [deployment.tasks.hold.delay(n) for n in range(3)]
    wait_until(lambda: sorted(deployment.numbers("start")) == [0, 1, 2])
    os.kill(worker_processes(worker.pid)[0], signal.SIGKILL)
    wait_until(lambda: sorted(deployment.numbers("start")) == [0, 0, 1, 1, 2, 2])
    for result in held:
        history = history_of(deployment, result)
        assert (history.deliveries, history.shared, history.width) == (0, 1, 0)
        assert result.history[0]["kind"] == "shared death"
        assert "ran 3 tasks side by side" in result.history[0]["error"]
    (line,) = lines(deployment, "was killed by SIGKILL")
    assert "it ran side by side" in line
    assert line.endswith("which run again as before")
    deployment.release()
    assert [result.get(30) for result in held] == [0, 1, 2]


def test_at_a_second_death_they_are_suspects_half_as_many_side_by_side(deployment: Deployment) -> None:
    worker = deployment.start("-p1", "-t4")
    held = [deployment.tasks.hold.delay(n) for n in range(4)]
    for times in (1, 2):
        wait_until(lambda times=times: sorted(deployment.numbers("start")) == sorted([*range(4)] * times))
        os.kill(worker_processes(worker.pid)[0], signal.SIGKILL)
    wait_until(lambda: len(deployment.numbers("start")) == 10, what="two of four run in quarantine")
    assert {history_of(deployment, result).width for result in held} == {2}
    assert "in quarantine: they are suspected of killing their process" in lines(deployment, "was killed by SIGKILL")[-1]
    assert deployment.tasks.noop.map(range(20)).get(30) == list(range(20))
    wait_until(lambda: len([r for r in held if history_of(deployment, r).width and r.state == "STARTED"]) == 2)
    told = [handle_of(result).look().where for result in held]
    assert sorted(told) == ["held", "held", "suspect", "suspect"]
    deployment.release()
    assert [result.get(30) for result in held] == list(range(4))


@pytest.mark.parametrize("beside", [0, 2])
def test_one_that_may_be_delivered_once_ends_at_the_first_death_shared_or_not(deployment: Deployment, beside: int) -> None:
    worker = deployment.start("-p1", "-t3")
    once = deployment.tasks.hold.apply_async((0,), max_deliveries=1)
    others = [deployment.tasks.hold.delay(n) for n in range(1, 1 + beside)]
    wait_until(lambda: len(deployment.numbers("start")) == 1 + beside)
    os.kill(worker_processes(worker.pid)[0], signal.SIGKILL)
    with pytest.raises(WorkerLost, match="max_deliveries=1"):
        once.get(30)
    assert "for the last time (max_deliveries), which goes to the dead list" in lines(deployment, "was killed by SIGKILL")[0]
    deployment.release()
    assert [result.get(30) for result in others] == list(range(1, 1 + beside))
    assert deployment.numbers("start").count(0) == 1


def test_innocents_who_ran_beside_a_culprit_do_not_run_one_by_one_after_it(deployment: Deployment) -> None:
    killer = deployment.tasks.adie_late.delay(0, 0.3)
    innocent = [deployment.tasks.awork.delay(n, 2.0) for n in range(1, 20)]
    deployment.start("-p1")
    with pytest.raises(WorkerLost, match="5 times"):
        killer.get(60)
    wait_until(lambda: sum(result.state == "STARTED" for result in innocent) >= 5)
    assert [result.get(60) for result in innocent] == list(range(1, 20))


def test_very_many_suspects_run_with_as_few_descriptors_as_some_systems_allow(deployment: Deployment) -> None:
    worker = deployment.start("-p1")
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (256, 256))  # for processes that start from now on
    results = [deployment.tasks.awork.delay(n, 1.0) for n in range(100)]
    for times in (1, 2):
        wait_until(lambda times=times: len(deployment.numbers("start")) == 100 * times)
        os.kill(worker_processes(worker.pid)[0], signal.SIGKILL)
    assert [result.get(30) for result in results] == list(range(100))
    assert not lines(deployment, "too many open files")
    assert all("and 80 more, which run again" in line for line in lines(deployment, "side by side"))


# --- nobody waits ----------------------------------------------------------------------------------------------------


def test_a_suspect_beside_long_tasks_holds_up_nobody(deployment: Deployment) -> None:
    """With -p2 -t4: one that crashed its process, two long ones, fifty good ones."""
    deployment.start("-p2", "-t4")
    suspect = deployment.tasks.die_once.delay(100, 1.0)
    wait_until(lambda: deployment.numbers("death"))
    long = [deployment.tasks.hold.delay(n) for n in (200, 201)]
    wait_until(lambda: set(deployment.numbers("start")) >= {200, 201})
    good = deployment.tasks.work.map(range(50))
    assert seconds_until(lambda: good.get(30) == list(range(50))) < allowed(2.0)
    assert suspect.get(30) == 100
    assert not any(result.ready() for result in long)
    deployment.release()
    assert [result.get(30) for result in long] == [200, 201]


def test_twenty_coroutines_run_again_side_by_side_and_short_ones_beside_them_do_not_wait(deployment: Deployment) -> None:
    worker = deployment.start("-p1")
    long = [deployment.tasks.awork.delay(n, 1.0) for n in range(20)]
    wait_until(lambda: len(deployment.numbers("start")) == 20)
    os.kill(worker_processes(worker.pid)[0], signal.SIGKILL)
    killed = time.monotonic()
    short = [deployment.tasks.awork.delay(n, 0.1) for n in range(100, 120)]
    assert [result.get(30) for result in short] == list(range(100, 120))
    assert time.monotonic() - killed < allowed(1.0)
    assert [result.get(30) for result in long] == list(range(20))
    assert time.monotonic() - killed < allowed(2.0)
    assert len(deployment.numbers("start")) == 60


def test_after_the_loss_of_a_host_its_tasks_run_side_by_side_and_none_is_charged(deployment: Deployment) -> None:
    doomed = deployment.start("-p1", "-t14", "--lease", "1")
    tasks = [deployment.tasks.hold.delay(n) for n in range(14)]
    wait_until(lambda: len(deployment.numbers("start")) == 14)
    for name in deployment.registered():
        presence.forget(presence.folder(), name)  # out of sight, as on another host
    deployment.start("-p1", "-t14", "--lease", "1")
    doomed.kill()
    wait_until(lambda: sorted(deployment.numbers("start")) == sorted([*range(14)] * 2), what="all run at once")
    assert {(a.deliveries, a.lost, a.width) for a in (history_of(deployment, result) for result in tasks)} == {(0, 1, 0)}
    deployment.release()
    assert [result.get(30) for result in tasks] == list(range(14))
    assert not lines(deployment, "quarantine")


# --- quarantine processes --------------------------------------------------------------------------------------------


def test_a_quarantine_process_is_beside_the_others_and_ends_when_nothing_is_left(deployment: Deployment) -> None:
    worker = deployment.start("-p2")
    suspects = [deployment.tasks.die_once.delay(n, 0.3) for n in range(2)]
    assert [result.get(30) for result in suspects] == [0, 1]
    wait_until(lambda: len(worker_processes(worker.pid)) == 2)
    assert len(set(deployment.numbers("death"))) == 2
    assert not deployment.redis.exists(keys.suspects(deployment.name), keys.claims(deployment.name))
    assert not lines(deployment, "die as soon as they start")


def test_of_three_workers_one_starts_a_process_for_a_suspect(deployment: Deployment) -> None:
    for _ in range(3):
        deployment.start("-p1")
    suspects = [deployment.tasks.die_once.delay(n, 2.5) for n in range(2)]
    assert [result.get(30) for result in suspects] == [0, 1]
    assert len(lines(deployment, "starts for 1 suspect of queue")) == 2


@pytest.mark.servers("embedded", "server", "sentinel", "cluster")
@pytest.mark.parametrize("task", ["die_once", "adie_once"])
def test_suspects_of_either_kind_run_in_quarantine(deployment: Deployment, task: str) -> None:
    deployment.start("-p1")
    result = getattr(deployment.tasks, task).delay(7)
    assert result.get(30) == 7
    assert len(deployment.numbers("death")) == 1


def test_a_time_limit_and_revoke_reach_into_quarantine(deployment: Deployment) -> None:
    deployment.start("-p2")
    limited = deployment.tasks.die_once.apply_async((0, 60.0), time_limit=0.5)
    with pytest.raises(TimeLimitExceeded):
        limited.get(30)
    stopped = deployment.tasks.die_once.delay(1, 60.0)
    wait_until(lambda: deployment.numbers("start").count(1) == 1)
    assert stopped.revoke(terminate=True) == "running, being stopped"
    with pytest.raises(TaskRevoked):
        stopped.get(30)
    assert deployment.tasks.noop.delay(3).get(30) == 3


def test_a_stop_lets_a_suspect_finish_within_the_grace(deployment: Deployment) -> None:
    worker = deployment.start("-p1", "--grace", "20")
    suspect = deployment.tasks.die_once.delay(1, 1.0)
    wait_until(lambda: deployment.numbers("start") == [1])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert suspect.get(30) == 1


def test_a_suspect_whose_supervisor_dies_goes_on_in_anothers_quarantine(deployment: Deployment) -> None:
    doomed = deployment.start("-p1")
    suspect = deployment.tasks.die_once_and_hold.delay(1)
    wait_until(lambda: deployment.numbers("start") == [1])
    deployment.start("-p1")
    doomed.kill()
    assert seconds_until(lambda: deployment.numbers("start") == [1, 1], 20) < allowed(6.0)
    deployment.release()
    assert suspect.get(30) == 1


def test_a_claim_whose_supervisor_died_runs_out(deployment: Deployment) -> None:
    result = deployment.tasks.work.delay(1)
    place = deployment.redis.zscore(keys.ready(deployment.name), result.id)
    deployment.redis.zrem(keys.ready(deployment.name), result.id)
    deployment.redis.zadd(keys.suspects(deployment.name), {result.id: place})
    deployment.redis.hset(keys.attempts(deployment.name), result.id, "0 1 - - - 0 0 1")
    assert deployment.queue._tasks.broker.claim("died-just-now", 1500) == (1, 1)
    deployment.start("-p1")
    assert not result.ready()
    assert result.get(30) == 1


def test_why_a_suspect_waits_is_said(deployment: Deployment) -> None:
    deployment.start("-p1")
    suspect = deployment.tasks.die_late.delay(1, 0.5)
    wait_until(lambda: deployment.numbers("death"))
    deployment.queue.pause()
    wait_until(lambda: handle_of(suspect).look().where == "suspect")
    with pytest.raises(TimeoutError, match=r"suspected of killing its process \(1 death so far: 1 while it ran alone\)"):
        suspect.get(0.1)
    assert deployment.queue.pending() == 1
    assert suspect.revoke() == "revoked"


# --- bursts, queues, stores ------------------------------------------------------------------------------------------


def test_a_burst_runs_suspects_too_and_what_comes_of_them(deployment: Deployment) -> None:
    results = [deployment.tasks.die_once.delay(n) for n in range(3)]
    worker = deployment.start("-p2", "-b", wait=False)
    assert worker.wait(60) == 0
    assert [result.get(30) for result in results] == [0, 1, 2]


def test_suspects_of_several_queues_do_not_wait_for_each_other(deployment: Deployment) -> None:
    names = [deployment.name, *(f"{deployment.name}-{n}" for n in (1, 2))]
    deployment.start("-p3", "-Q", ",".join(names))
    slow = deployment.tasks.die_once.apply_async((0, 8.0), queue=names[0])
    quick = [deployment.tasks.die_once.apply_async((n, 0.0), queue=names[n]) for n in (1, 2)]
    assert [result.get(30) for result in quick] == [1, 2]
    assert not slow.ready()
    slow.revoke(terminate=True)
    assert isinstance(slow.get(20, propagate=False), TaskRevoked)


def test_suspects_on_two_stores_of_one_worker(
    deployment: Deployment, start_redis: Callable[..., RedisServer], tmp_path: Path, queue_name: str
) -> None:
    other = start_redis()
    (tmp_path / "elsewhere.py").write_text(
        "import os, signal\nfrom hotqueue import HotQueue\nfrom hotqueue.tasks import current_task\n"
        f"queue = HotQueue('elsewhere-{queue_name}', url={other.url!r})\n"
        "@queue.task(name='elsewhere.die_once')\ndef die_once():\n"
        "    if current_task.request.deliveries == 1:\n        os.kill(os.getpid(), signal.SIGKILL)\n    return 'alive'\n"
    )
    deployment.env["PYTHONPATH"] += f":{tmp_path}"
    with open(deployment.log, "a") as log:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        worker = start_command("hotqueue-worker", "crash_tasks", "elsewhere", "-p1", env=deployment.env, **pipes)
    deployment.workers.append(worker)
    here = deployment.tasks.die_once.delay(1)
    with HotQueue(f"elsewhere-{queue_name}", url=other.url) as queue:
        there = queue.task(name="elsewhere.die_once")(print).delay()
        assert (here.get(30), there.get(30)) == (1, "alive")
