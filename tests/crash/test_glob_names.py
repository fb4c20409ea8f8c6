"""Workers with a glob for a name, while the queues that it stands for appear, go, and come back.

Of this kind: whatever a worker knows of its queues from its start on (numbers, connections, leases, who keeps them in order),
once queues come and go; and whatever could keep it from hearing of one: a flushed server, a broken connection, no permission.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks.client.definition import definition_of
from tests.crash.workers import APPS, BANNER
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

SOON = 4.0  # seconds within which a queue that appears is served
only_server = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


class Worker:
    """A worker that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def start(start_command: Any, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """``start(url, *arguments)`` → a worker, once it is ready."""
    started: list[Worker] = []

    def begin(url: str, *arguments: str, **env: str) -> Worker:
        path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
        log = tmp_path / f"worker{len(started)}.log"
        with open(log, "w") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            process = start_command("hotqueue-worker", *arguments, env={"STORE": url, "PYTHONPATH": path, **env}, **pipes)
        started.append(Worker(process, log))
        wait_until(lambda: BANNER in log.read_text(), what="the worker is ready")
        return started[-1]

    yield begin
    for worker in started:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait(40)
        print(worker.said()[-3000:])
        assert "Traceback" not in worker.said()


def served_soon(queue: HotQueue) -> None:
    """See that a call to a queue is answered soon, and the next ones at once."""
    began = time.monotonic()
    assert queue.submit(divmod, 7, 2).get(30) == (3, 1)
    assert time.monotonic() - began < allowed(SOON)
    began = time.monotonic()
    assert queue.submit(divmod, 9, 2).get(30) == (4, 1)
    assert time.monotonic() - began < allowed(1.0)


def forget(queue: HotQueue) -> None:
    """Delete all that a queue has, but for what its workers have."""
    client = queue._store.client()
    for key in list(client.scan_iter(match=f"{{hotqueue:{queue.name}}}:*")):
        if not keys.text(key).partition("}:")[2].startswith("worker"):
            client.delete(key)


def workers_of(queue: HotQueue) -> int:
    return len(queue.workers())


def test_a_queue_is_served_when_it_appears_let_go_of_when_it_is_gone_and_served_again(
    start: Callable[..., Worker], make_queue: MakeQueue, store_url: str, queue_name: str
) -> None:
    there, plain = make_queue(f"{queue_name}-there"), make_queue(f"plain-{queue_name}")
    waits = there.submit(divmod, 5, 2)
    worker = start(store_url, "-Q", f"{queue_name}-*:2,plain-{queue_name}", "-u", store_url, "-p2")
    assert waits.get(30) == (2, 1)
    served_soon(plain)
    one, other = make_queue(f"{queue_name}-1"), make_queue(f"{queue_name}-ü:*")
    for queue in (one, other, one, there):
        served_soon(queue)
    assert workers_of(one)
    forget(one)
    wait_until(lambda: not workers_of(one), what="nobody works there any more")
    served_soon(other)
    served_soon(one)
    assert workers_of(one)
    assert "letting go of queue" in worker.said()
    for name in (plain.name,):  # not by the glob
        assert f"found queue {name}" not in worker.said()
    client = plain._store.client()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(40) == 0
    for queue in (one, other, there, plain):
        assert workers_of(queue) == 0
        for key in client.scan_iter(match=f"{{hotqueue:{queue.name}}}:*"):
            client.delete(key)


@only_server
@only_server
def test_a_schedule_is_fired_in_a_queue_that_has_had_no_task(
    make_queue: MakeQueue, queue_name: str, store_url: str, start: Callable[..., Worker]
) -> None:
    """Whether the worker is there before it, or comes later."""
    before, later = (make_queue(f"{queue_name}-{what}") for what in ("before", "later"))
    before.schedule("s", 0.5, divmod, args=(7, 2))
    start(store_url, "-Q", f"{queue_name}-*", "-u", store_url, "-p", "1")
    later.schedule("s", 0.5, divmod, args=(7, 2))
    for queue in (before, later):
        wait_until(lambda queue=queue: queue.schedules()[0].last_run)  # type: ignore[misc]
        queue.schedules()[0].remove()


def test_named_tasks_of_a_module_run_for_queues_that_it_does_not_define(
    start: Callable[..., Worker], make_queue: MakeQueue, store_url: str, queue_name: str
) -> None:
    worker = start(store_url, "twenty_queues", "-Q", f"{queue_name}-?,other-{queue_name}-*", QUEUE=queue_name, COUNT="2")
    assert "quick" in worker.said()
    quick = task_by_name(make_queue(f"{queue_name}-0"), "quick")
    for name in (f"{queue_name}-1", f"{queue_name}-7", f"other-{queue_name}-12"):
        assert quick.apply_async((4,), queue=name).get(30) == 4
    with make_queue(f"{queue_name}-17") as unmatched:
        result = quick.apply_async((4,), queue=unmatched.name)
        served_soon(make_queue(f"{queue_name}-8"))
        assert not result.ready()
        result.revoke()
    aquick = task_by_name(make_queue(f"{queue_name}-9"), "aquick")
    definition_of(aquick)
    assert aquick.apply_async((5,), queue=f"{queue_name}-9").get(30) == 5
    sent = [quick.apply_async((n,), queue=f"other-{queue_name}-{n}") for n in range(40)]
    assert [result.get(30) for result in sent] == list(range(40))
    assert "no queue matches" not in worker.said()  # two of the module's do
    _forget_all(store_url, f"*{queue_name}*", worker)


def _forget_all(url: str, pattern: str, worker: Worker) -> None:
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(40) == 0
    with HotQueue("any", url=url) as queue:
        client = queue._store.client()
        for key in client.scan_iter(match=pattern):
            client.delete(key)


def test_one_that_matches_nothing_waits_and_says_so_once(
    start: Callable[..., Worker], start_redis: Callable[..., RedisServer]
) -> None:
    server = start_redis()
    worker = start(server.url, "-Q", "no-such-*,[xy]?", "-u", server.url, "-p1")
    with HotQueue("y1", url=server.url) as queue:
        served_soon(queue)
    assert worker.said().count("yet; waiting for one") == 1
    assert "no queue matches no-such-*, [xy]? yet; waiting for one" in worker.said()


def test_a_burst_runs_what_is_there_in_all_queues(start_redis: Callable[..., RedisServer], start: Callable[..., Worker]) -> None:
    server = start_redis()
    sent = []
    for n in range(5):
        queue = HotQueue(f"tenant-{n}", url=server.url)
        sent.append(queue.submit(divmod, n, 1))
    worker = start(server.url, "-Q", "tenant-*", "-u", server.url, "-p2", "-b")
    assert worker.process.wait(30) == 0
    assert [result.get(1) for result in sent] == [(n, 0) for n in range(5)]
    nothing = start(server.url, "-Q", "none-*", "-u", server.url, "-p2", "-b")
    assert nothing.process.wait(30) == 0


def test_a_flush_a_broken_connection_and_a_restart_lose_no_queue(
    start_redis: Callable[..., RedisServer], start: Callable[..., Worker]
) -> None:
    server = start_redis()
    start(server.url, "-Q", "tenant-*", "-u", server.url, "-p2")
    queues = [HotQueue(f"tenant-{n}", url=server.url) for n in range(4)]
    redis = server.client()
    served_soon(queues[0])
    redis.flushall()
    served_soon(queues[1])
    served_soon(queues[0])
    redis.client_kill_filter(_type="pubsub")
    served_soon(queues[2])  # heard of by who listens again, or found by the look at all keys after that
    server.kill()
    server.start()
    assert queues[3].submit(divmod, 7, 2).get(30) == (3, 1)
    for queue in queues:
        queue.close()


def test_who_may_not_listen_finds_new_queues_by_looking(
    start_redis: Callable[..., RedisServer], start: Callable[..., Worker]
) -> None:
    server = start_redis()
    server.client().acl_setuser(
        "worker", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-subscribe", "-publish"]
    )
    url = server.url.replace("//", "//worker:pw@")
    worker = start(url, "-Q", "tenant-*", "-u", url, "-p1")
    with HotQueue("tenant-1", url=url) as queue:
        began = time.monotonic()
        assert queue.submit(divmod, 7, 2).get(30) == (3, 1)
        assert time.monotonic() - began < allowed(SOON)
    wait_until(lambda: "new queues are found by looking at all keys" in worker.said())


def test_a_queue_is_served_though_the_worker_that_worked_there_was_killed(
    start_redis: Callable[..., RedisServer], start: Callable[..., Worker]
) -> None:
    server = start_redis()
    worker = start(server.url, "-Q", "tenant-*", "-u", server.url, "-p2")
    with HotQueue("tenant-1", url=server.url) as queue:
        pids = {queue.submit(os.getpid).get(30) for _ in range(20)}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert queue.submit(os.getpid).get(30) not in pids
        worker.process.send_signal(signal.SIGHUP)  # new processes are told of it as well
        wait_until(lambda: "the work is done by new processes" in worker.said())
        assert queue.submit(divmod, 7, 2).get(30) == (3, 1)
