"""`revoke()` says what happened: "revoked" is a task that never runs, "running" one that has started. Whatever it meets.

Of the kind: a task that is being parked, or unparked, meanwhile; one that a worker has fetched and not started, behind one that
drags, or behind many short ones; fetched ahead; put back by its worker, its supervisor, or after a death; waiting for a retry;
of a worker that cannot run it; with and without terminate=True. What was revoked starts nowhere any more, and no mark stays.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from hotqueue import TaskRevoked, keys
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.rules.lifecycle import State
from tests.crash.rig import Rig
from tests.support.processes import worker_processes
from tests.support.waiting import allowed, wait_until

REVOKED, RUNNING, STOPPING = "revoked", "running, not stopped", "running, being stopped"


def warm(rig: Rig, *args: object) -> Any:
    """Start a worker, and have it get used to tasks of microseconds: it fetches many at once."""
    worker = rig.start(*args or ("-t1",))
    assert rig.tasks.work.map(range(10_000, 10_600)).get(30)
    return worker


def together(rig: Rig, *seconds: float) -> list[Any]:
    """Send calls that are fetched together."""
    rig.queue.pause()
    results = [rig.send(rig.tasks.work, n, each) for n, each in enumerate(seconds)]
    rig.queue.resume()
    return results


def check(rig: Rig, results: list[Any], answers: list[str], patience: float = 20) -> None:
    """Fail unless each task did what its answer said."""
    for n, (result, answer) in enumerate(zip(results, answers, strict=True)):
        if answer == REVOKED:
            with pytest.raises(TaskRevoked):
                result.get(patience)
            assert rig.starts()[str(n)] == 0
        elif answer == RUNNING:
            assert result.get(patience) == n
            assert rig.starts()[str(n)] == 1
        else:
            assert answer == "finished or unknown"
            assert rig.starts()[str(n)] == 1
    rig.check_nothing_left()
    assert not rig.redis.exists(keys.revoked(rig.name))


def test_a_task_that_lies_behind_one_that_drags_never_runs(rig: Rig) -> None:
    warm(rig)
    results = together(rig, 1.5, *[0.0] * 9)
    wait_until(lambda: rig.starts()["0"])
    answers = [result.revoke() for result in results]
    assert answers == [RUNNING, *[REVOKED] * 9]
    check(rig, results, answers)


def test_tasks_of_a_batch_that_is_being_run(rig: Rig) -> None:
    """Some have started by then; each answer is true of its task."""
    warm(rig)
    results = together(rig, *[0.004] * 60)
    wait_until(lambda: rig.starts()["3"])
    answers = [result.revoke() for result in reversed(results)][::-1]  # of how many it is in time depends on the machine
    check(rig, results, answers)


def test_a_worker_that_stands_still_for_a_while(rig: Rig) -> None:
    """It cannot say which tasks it has started; nobody answers for it before it goes on."""
    worker = warm(rig)
    results = together(rig, *[0.004] * 60)
    wait_until(lambda: rig.starts()["3"])
    [child] = worker_processes(worker.pid)
    os.kill(child, signal.SIGSTOP)
    answers: dict[int, str] = {}

    def revoke(n: int) -> None:
        answers[n] = results[n].revoke()

    revoking = [threading.Thread(target=revoke, args=(n,)) for n in range(60)]
    for thread in revoking:
        thread.start()
    revoking[-1].join(1.5)  # ends here only if it has been answered
    os.kill(child, signal.SIGCONT)
    for thread in revoking:
        thread.join(allowed(20))
    check(rig, results, [answers[n] for n in range(60)])


@pytest.mark.parametrize("terminate", [False, True])
def test_a_task_that_really_runs_is_said_to_without_much_ado(rig: Rig, terminate: bool) -> None:
    rig.start("-t1")
    result = rig.send(rig.tasks.work, 0, 30 if terminate else 1.5)  # it is stopped long before its end, on a busy machine too
    wait_until(lambda: rig.starts()["0"])
    began = time.monotonic()
    assert result.revoke(terminate) == (STOPPING if terminate else RUNNING)
    assert time.monotonic() - began < allowed(0.8)
    if terminate:
        with pytest.raises(TaskRevoked):
            result.get(30)
    else:
        assert result.get(30) == 0
    rig.check_nothing_left()
    assert not rig.redis.exists(keys.revoked(rig.name), keys.control(rig.name))


def test_one_to_be_stopped_that_has_not_started_never_does(rig: Rig) -> None:
    """Its neighbour, which runs, goes on."""
    warm(rig)
    results = together(rig, 1.0, *[0.0] * 5)
    wait_until(lambda: rig.starts()["0"])
    assert results[3].revoke(terminate=True) in (REVOKED, STOPPING)
    with pytest.raises(TaskRevoked):
        results[3].get(30)
    assert [results[n].get(30) for n in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    assert rig.starts()["3"] == 0
    assert rig.starts()["0"] == 1
    rig.check_nothing_left()


def test_coroutines(rig: Rig) -> None:
    rig.start("--async-concurrency", "3")
    results = [rig.send(rig.tasks.awork, n, 1.0) for n in range(6)]
    wait_until(lambda: len(rig.starts()) == 3)
    answers = [result.revoke() for result in results]
    assert answers == [RUNNING] * 3 + [REVOKED] * 3
    check(rig, results, answers)


def test_a_task_that_is_parked_meanwhile_ends_as_revoked(rig: Rig) -> None:
    """A worker that does not know it fetches it in the moment in which it is sent, and parks it in the next."""
    rig.start("-t1")
    strange = rig.queue.task(name="no.such")(rig.tasks.work.__wrapped__)
    definition_of(strange).by_value = False
    results, answers = [], []
    for n in range(150):
        results.append(strange.delay(n))
        answers.append(results[-1].revoke())
    assert set(answers) <= {REVOKED, RUNNING}
    for result in results:
        with pytest.raises(TaskRevoked):
            result.get(30)
    assert answers.count(REVOKED) > 140  # at most those in whose moment the machine stood still
    rig.check_nothing_left()
    assert not rig.redis.exists(keys.revoked(rig.name), keys.needs(rig.name))


def test_one_that_was_running_is_not_run_again_after_its_process_died(rig: Rig) -> None:
    worker = rig.start("-t1")
    result = rig.send(rig.tasks.work, 0, 30)
    wait_until(lambda: rig.starts()["0"])
    assert result.revoke() == RUNNING
    [child] = worker_processes(worker.pid)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(TaskRevoked):
        result.get(30)
    assert rig.starts()["0"] == 1
    rig.check_nothing_left()


def test_one_that_was_running_is_not_retried(rig: Rig) -> None:
    """It had its run; the next would start after revoke() has said that it runs."""
    rig.start("-t1")
    held = rig.send(rig.tasks.changed, 0)
    held.get(30)
    result = rig.send(rig.tasks.fails_slowly, 1, 0.5)
    wait_until(lambda: rig.starts()["1"])
    assert result.revoke() == RUNNING
    with pytest.raises(TaskRevoked):
        result.get(30)
    assert rig.starts()["1"] == 1
    rig.check_nothing_left()


def test_many_at_once_while_workers_come_and_go(rig: Rig) -> None:
    """Batches, taking back, parking and deaths of processes at the same time: nothing that was revoked runs."""
    worker = warm(rig, "-p2", "-t2")
    results = [rig.send(rig.tasks.work, n, 0.02 if n % 7 == 0 else 0.0) for n in range(300)]
    answers: dict[int, str] = {}

    def revoke(first: int) -> None:
        for n in range(first, 300, 4):
            answers[n] = results[n].revoke()

    threads = [threading.Thread(target=revoke, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    victim = worker_processes(worker.pid)[0]
    os.kill(victim, signal.SIGKILL)
    for thread in threads:
        thread.join(allowed(60))
    for n, answer in answers.items():
        if answer == REVOKED:
            assert results[n].state is State.REVOKED
    wait_until(lambda: rig.unfinished() == 0)
    started = {int(n) for n, pid in rig.noted() if int(pid) != victim}  # what that one had started, nobody else knows
    assert [n for n, answer in answers.items() if answer == REVOKED and n in started] == []
    rig.check_nothing_left()
    assert not rig.redis.exists(keys.revoked(rig.name))
