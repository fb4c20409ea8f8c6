"""A broken network between client, worker and Redis: never two copies of a task, never a lost one, results recorded once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, TimeLimitExceeded
from hotqueue.tasks.broker import scripts
from tests.crash.rig import ROUNDS, Rig, load_scripts, seconds_until
from tests.support.proxy import DELAY, LOSE_REPLY, LOSE_REQUEST, TWICE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

STEP_WORDS = 11  # of a step that finishes nothing, without its keys


class Net(Rig):
    """A rig with a proxy on the producer's side (`front`) and one on the workers' (`back`)."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.front, self.back = Proxy(server.url), Proxy(server.url)
        super().__init__(folder, self.front.url, server.client())
        load_scripts(self.redis)

    def start(self, *args: object, **options: Any) -> Any:
        """Start a worker behind its proxy."""
        return super().start(*args, url=self.back.url, **options)

    def stop(self) -> None:
        """End workers and proxies."""
        super().stop()
        self.front.close()
        self.back.close()


@pytest.fixture
def net(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Net]:
    """A queue, a producer and workers with proxies between; its log is shown when the test fails."""
    made = Net(tmp_path, start_redis())
    yield made
    made.stop()
    print(made.said()[-4000:])


def words(request: bytes) -> list[bytes]:
    """Return the words of a command; good enough for scripts' leading arguments."""
    return request.split(b"\r\n", 400)[2::2]


def fetches(request: bytes) -> bool:
    """Tell whether a request is a step that fetches."""
    if scripts.STEP.sha not in request:
        return False
    said = words(request)
    return said[3 + int(said[2]) + 2] != b"0"


def finishes(request: bytes) -> bool:
    """Tell whether a request is a step that finishes tasks."""
    return scripts.STEP.sha in request and int(request[1 : request.index(b"\r\n")]) > STEP_WORDS + int(words(request)[2])


# --- one fault at each operation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LOSE_REQUEST, LOSE_REPLY, TWICE])
def test_every_operation_survives(net: Net, kind: str) -> None:
    """Rows 29 and 30: each operation of client, worker and supervisor meets the fault, several times."""
    tasks = net.tasks

    def harm(proxy: Proxy, *marks: Any, times: int = 2) -> None:
        for mark in marks:
            proxy.add(Fault(kind, mark), times)

    harm(net.back, scripts.REGISTER.sha, scripts.SWEEP.sha, times=1)
    harm(net.back, fetches, finishes, times=3)
    harm(net.back, scripts.RECOVER.sha, scripts.PROMOTE.sha)
    harm(net.front, scripts.ENQUEUE_ONE.sha, scripts.ENQUEUE.sha, scripts.WAIT.sha, times=3)
    if kind != TWICE:  # nothing sends a BLPOP twice on one connection but a proxy
        harm(net.front, b"BLPOP")
        harm(net.back, b"BLPOP")
    worker = net.start()
    results = [net.send(tasks.work, n) for n in range(40)]
    results += [net.send(tasks.awork, n) for n in range(40, 60)]
    results += [net.send(tasks.flaky, n, 1) for n in range(60, 70)]
    results += [net.send(tasks.work, n, countdown=0.2) for n in range(70, 80)]
    assert [r.get(30) for r in results] == list(range(80))
    assert all(times == (2 if 60 <= int(n) < 70 else 1) for n, times in net.starts().items())

    harm(net.back, scripts.TAKE_BACK.sha, times=3)
    dragging = [net.send(tasks.work, 100 + n, 0.2 if n % 20 == 10 else 0.0) for n in range(80)]
    assert [r.get(30) for r in dragging] == list(range(100, 180))
    assert all(net.starts()[str(n)] == 1 for n in range(100, 180)), "a task that was taken back ran twice"

    harm(net.back, scripts.REAP.sha)
    slow = net.send(tasks.work, 200, 0.7)
    wait_until(lambda: net.starts()["200"])
    (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert slow.get(30) == 200
    assert net.starts()["200"] == 2

    harm(net.back, finishes, scripts.TAKE_BACK.sha, scripts.REAP.sha, times=1)
    rest = [net.send(tasks.work, 300 + n, 0.02) for n in range(100)]
    wait_until(lambda: net.starts()["305"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert net.registered() == []
    net.start()
    assert [r.get(30) for r in rest] == list(range(300, 400))
    assert all(net.starts()[str(n)] == 1 for n in range(300, 400))
    assert net.counted("succeeded") == 261
    assert "no longer ours" not in net.said(), "an outcome whose reply was lost does count"
    net.check_nothing_left()
    assert net.back.faults[kind] >= 15
    assert net.front.faults[kind] >= 6


def test_a_reply_that_comes_too_late_does_no_harm(net: Net) -> None:
    """Row 30: replies later than our patience, to a fetch, to a finish and to an enqueue; the late fetch strands nothing."""
    net.start()
    assert net.send(net.tasks.work, 0).get(30) == 0
    net.back.add(Fault(DELAY, fetches, 6))
    net.front.add(Fault(DELAY, scripts.ENQUEUE_ONE.sha, 6))
    began = time.monotonic()
    with pytest.raises(ConnectionFailed, match="unknown") as raised:
        net.tasks.work.apply_async((1,), task_id="late")
    assert 4 < time.monotonic() - began < allowed(9)
    assert raised.value.sent
    again = net.tasks.work.apply_async((1,), task_id="late")
    more = [net.send(net.tasks.work, n) for n in range(2, 20)]
    assert again.get(30) == 1
    assert [r.get(30) for r in more] == list(range(2, 20))
    assert set(net.starts().values()) == {1}
    assert net.counted("succeeded") == net.counted("enqueued") == 20
    net.check_nothing_left()


# --- at random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2 * ROUNDS))
def test_random_harm_loses_and_doubles_nothing(net: Net, seed: int) -> None:
    """Rows 29, 30 and 31: one in twenty requests of either side is harmed, while a process is killed now and then."""
    worker = net.start("-p2")
    net.back.shake(seed, 0.05, [LOSE_REQUEST, LOSE_REPLY, DELAY], delay=0.05)
    net.front.shake(seed + 1, 0.05, [LOSE_REQUEST, LOSE_REPLY, DELAY], delay=0.05)
    dice, results = random.Random(seed), []
    for n in range(400):
        task = dice.choice([net.tasks.work, net.tasks.awork])
        results.append(net.send(task, n, dice.choice([0.0, 0.0, 0.01]), countdown=dice.choice([None, None, 0.1])))
    kills = 0
    for n, result in enumerate(results):
        if n % 130 == 100:
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
            if children:
                os.kill(int(dice.choice(children)), signal.SIGKILL)
                kills += 1
        assert result.get(30) == n
    net.back.shake(0, 0, [])
    net.front.shake(0, 0, [])
    assert net.counted("succeeded") == net.counted("enqueued") == 400
    assert sum(times - 1 for times in net.starts().values()) <= kills * 111, "more run twice than were in flight at the kills"
    net.check_nothing_left()
    assert sum(net.back.faults.values()) > 10


def test_a_slow_network_is_not_taken_for_death(net: Net) -> None:
    """Row 31: 200 ms and jitter on each reply, a hundredth of the connections breaking, a lease of 2 s."""
    for proxy in (net.front, net.back):
        proxy.latency = (0.2, 0.05)
        proxy.shake(3, 0.01, [LOSE_REPLY])
    net.start("--lease", "2", "-p2")
    began = time.monotonic()
    results = net.tasks.work.map(range(200))
    assert results.get(30) == list(range(200))
    assert time.monotonic() - began < allowed(8), "too little goes out in one trip"
    assert set(net.starts().values()) == {1}
    assert "given up" not in net.said()
    assert "is lost" not in net.said()
    net.check_nothing_left()


# --- nothing answers -------------------------------------------------------------------------------------------------


def test_a_half_open_connection_is_noticed_and_left(net: Net) -> None:
    """Row 32: every connection stays open and dead; new ones work. Afterwards bells wake the worker as before."""
    net.start("--async-concurrency", "5")
    assert net.send(net.tasks.work, 0).get(30) == 0
    assert net.send(net.tasks.awork, 0).get(30) == 0
    net.back.fall_silent()
    net.back.speak()  # for connections to come
    began = time.monotonic()
    first, second = net.send(net.tasks.work, 1), net.send(net.tasks.awork, 2)
    assert (first.get(30), second.get(30)) == (1, 2)
    took = time.monotonic() - began
    assert took < allowed(11)
    for task in (net.tasks.work, net.tasks.awork):
        waits = []
        for n in range(3):
            wait_until(lambda n=n: net.redis.llen(f"{{hotqueue:{net.name}}}:bell") == 0)
            began = time.monotonic()
            assert net.send(task, n).get(30) == n
            waits.append(time.monotonic() - began)
        assert min(waits) < allowed(0.5), f"the bell of {task.name} does not wake the worker any more: {waits}"


def children(worker: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]


def fall_silent(net: Net) -> None:
    """Have Redis fall silent for the workers, and wait until the supervisor waits for an answer."""
    net.back.fall_silent()
    # A sweep, or what may come between two: a supervisor that waits for that sends no sweep any more.
    between = (scripts.PROMOTE, scripts.AUDIT, scripts.MEND_LANES, scripts.MEND_OWNERS, scripts.FREE_DONE, scripts.ARE_REGISTERED)
    schedules = (scripts.DECLARE, scripts.DUE_SCHEDULES, scripts.SET_SCHEDULES, scripts.MEND_UNIQUE)
    plain = (b"ZRANGE", b"SMEMBERS", b"SCAN", b"GET", b"EXISTS")
    # Or its request was under way when Redis fell silent: 5 s later it connects anew, and waits for that.
    anew = (b"CLIENT", b"SELECT", b"PING")
    its = (scripts.SWEEP.sha, *(script.sha for script in (*between, *schedules)), *plain, *anew)
    wait_until(lambda: any(each in request for request in net.back.swallowed for each in its))


def test_time_limits_and_deaths_do_not_wait_for_a_silent_redis(net: Net) -> None:
    """Row 32: the supervisor's own work is done in time while Redis answers nothing."""
    worker = net.start("-p2")
    over, dies = net.send(net.tasks.overruns, 1, 60), net.send(net.tasks.work, 2, 60)
    wait_until(lambda: len(net.starts()) == 2)
    began = time.monotonic()
    fall_silent(net)
    wait_until(lambda: "over its time_limit" in net.said())
    assert time.monotonic() - began < allowed(3), "the time limit was late"
    (child,) = wait_until(lambda: children(worker) if len(children(worker)) == 1 else None)
    os.kill(child, signal.SIGKILL)
    assert seconds_until(lambda: f"process {child} was killed by SIGKILL" in net.said()) < allowed(1)
    net.back.speak()
    with pytest.raises(TimeLimitExceeded):
        over.get(30)
    wait_until(lambda: net.starts()["2"] == 2)
    assert dies.revoke(terminate=True)
    wait_until(lambda: net.unfinished() == 0)


@pytest.mark.parametrize("signals", [1, 2])
def test_a_worker_is_stopped_in_time_though_redis_is_silent(net: Net, signals: int) -> None:
    """Rows 3, 4 and 32: TERM is obeyed within its grace, and a second one at once."""
    worker = net.start("--grace", "1.5" if signals == 1 else "30")
    result = net.send(net.tasks.work, 1, 60)
    wait_until(lambda: net.starts()["1"])
    fall_silent(net)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert seconds_until(lambda: "SIGTERM: finishing what runs" in net.said()) < allowed(1)
    if signals == 2:
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert time.monotonic() - began < allowed((1.5 if signals == 1 else 0) + 1.5)
    net.back.speak()
    net.start()  # a neighbour puts in order what could not be told
    wait_until(lambda: net.starts()["1"] == 2)
    assert net.queue._tasks.broker.look(result.id).history.deliveries == 0, "it was charged though we ended it"
    assert result.revoke(terminate=True)
    wait_until(lambda: net.unfinished() == 0)


@pytest.mark.parametrize("how", ["silent", "refused", "refused, then silent"])
def test_delay_gives_up_in_time_and_may_be_repeated(net: Net, start_redis: Callable[..., RedisServer], how: str) -> None:
    """Rows 22 and 32: a clear error within 5 s; the same id sent again is the same task."""
    assert net.send(net.tasks.work, 0)
    host, port = net.front.target
    if how == "silent":
        net.front.fall_silent()
    else:
        net.front.target = (host, 1)
        net.front.cut()
        if how == "refused, then silent":
            timer = threading.Timer(4, lambda: (net.front.fall_silent(), setattr(net.front, "target", (host, port))))
            timer.start()
    began = time.monotonic()
    with pytest.raises(ConnectionFailed) as raised:
        net.tasks.work.apply_async((1,), task_id="mine")
    assert time.monotonic() - began < allowed(5.8)
    assert ("unknown" in str(raised.value)) == raised.value.sent
    net.front.target = (host, port)
    net.front.speak()
    for _ in range(3):
        assert net.tasks.work.apply_async((1,), task_id="mine").id == "mine"
    assert net.unfinished() == 2
