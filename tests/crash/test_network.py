"""A broken network between client, worker and Redis: never two copies of a task, never a lost one, results recorded once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, keys
from hotqueue.tasks import scripts
from tests.crash.rig import ROUNDS, Rig, load_scripts, seconds_until
from tests.proxy import DELAY, LOSE_REPLY, LOSE_REQUEST, SILENCE, TWICE, Fault, Proxy
from tests.servers import RedisServer
from tests.waiting import wait_until

STEP_KEYS = 21  # of a step without actions


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
    return scripts.STEP.sha in request and int(words(request)[2]) > STEP_KEYS


def send(net: Net, task: Any, *args: Any, **options: Any) -> Any:
    """Send a call, as often as it takes, under one id; return its result's handle."""
    task_id = os.urandom(8).hex()
    while True:
        try:
            return task.apply_async(args, task_id=task_id, **options)
        except ConnectionFailed as error:
            assert error.retry


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
    harm(net.front, scripts.ENQUEUE.sha, scripts.WAIT.sha, times=3)
    if kind != TWICE:  # nothing sends a BLPOP twice on one connection but a proxy
        harm(net.front, b"BLPOP")
        harm(net.back, b"BLPOP")
    worker = net.start()
    results = [send(net, tasks.work, n) for n in range(40)]
    results += [send(net, tasks.awork, n) for n in range(40, 60)]
    results += [send(net, tasks.flaky, n, 1) for n in range(60, 70)]
    results += [send(net, tasks.work, n, countdown=0.2) for n in range(70, 80)]
    assert [r.get(20) for r in results] == list(range(80))
    assert all(times == (2 if 60 <= int(n) < 70 else 1) for n, times in net.starts().items())

    harm(net.back, scripts.TAKE_BACK.sha, times=3)
    dragging = [send(net, tasks.work, 100 + n, 0.2 if n % 20 == 10 else 0.0) for n in range(80)]
    assert [r.get(20) for r in dragging] == list(range(100, 180))
    assert all(net.starts()[str(n)] == 1 for n in range(100, 180)), "a task that was taken back ran twice"

    harm(net.back, scripts.REAP.sha)
    slow = send(net, tasks.work, 200, 0.7)
    wait_until(lambda: net.starts()["200"])
    (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert slow.get(20) == 200
    assert net.starts()["200"] == 2

    harm(net.back, finishes, scripts.TAKE_BACK.sha, scripts.REAP.sha, times=1)
    rest = [send(net, tasks.work, 300 + n, 0.02) for n in range(100)]
    wait_until(lambda: net.starts()["305"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert net.registered() == []
    net.start()
    assert [r.get(20) for r in rest] == list(range(300, 400))
    assert all(net.starts()[str(n)] == 1 for n in range(300, 400))
    assert net.counted("succeeded") == 261
    net.check_nothing_left()
    assert net.back.faults[kind] >= 15
    assert net.front.faults[kind] >= 6
