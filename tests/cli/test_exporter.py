"""hotqueue-worker --metrics-port: answered beside the work, and gone with the worker, however that ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from tests.cli.test_metrics import get
from tests.support.processes import run_command
from tests.support.waiting import wait_until

pytest.importorskip("prometheus_client")
MakeQueue = Callable[..., HotQueue]
Start = Callable[..., subprocess.Popen[str]]
Worker = tuple[subprocess.Popen[str], str]  # and the URL of its metrics


@pytest.fixture
def start(start_command: Start, make_queue: MakeQueue, store_url: str, tmp_path: Path) -> Callable[[], Worker]:
    """``start()`` → a worker, and the URL of its metrics."""

    def begin() -> Worker:
        log = tmp_path / "log"
        with open(log, "w") as stderr:
            where = ("-Q", make_queue().name, "-u", store_url, "-p", 1, "--metrics-port", 0)
            worker = start_command("hotqueue-worker", *where, cwd=tmp_path, stderr=stderr)
        return worker, wait_until(lambda: re.search(r"metrics: (http://\S+/metrics)", log.read_text()))[1]

    return begin


def is_gone(url: str) -> bool:
    host, port = url.removeprefix("http://").removesuffix("/metrics").split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return True
    return False


def test_a_worker_has_its_queues_told(start: Callable[[], Worker], make_queue: MakeQueue) -> None:
    worker, url = start()
    queue = make_queue()
    wait_until(lambda: f'hotqueue_workers{{queue="{queue.name}"}} 1.0' in get(url)[2])
    assert queue.submit(os.getpid).get(timeout=30) != worker.pid
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert is_gone(url)


@pytest.mark.servers("server")
def test_it_ends_with_a_worker_that_is_killed(start: Callable[[], Worker]) -> None:
    worker, url = start()
    assert get(url)[0] == 200
    worker.kill()
    worker.wait(30)
    assert wait_until(lambda: is_gone(url))


@pytest.mark.servers("server")
def test_a_port_that_is_taken_is_a_mistake(store_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = ("-Q", "q", "-u", store_url, "--metrics-port", taken.getsockname()[1])
        done = run_command("hotqueue-worker", *where, check=False)
    assert done.returncode == 2
    assert re.search(r"--metrics-port 127.0.0.1:\d+ cannot be listened to: Address already in use; name a free port", done.stderr)


APP = """
import os
from redis.backoff import NoBackoff
from redis.retry import Retry
from hotqueue import HotQueue
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"], retry=Retry(NoBackoff(), 0))

@queue.task(name="app.pid")
def pid():
    return os.getpid()
"""


@pytest.mark.servers("server")
def test_a_worker_at_a_store_that_cannot_be_named_works_without(
    start_command: Start, make_queue: MakeQueue, store_url: str, tmp_path: Path
) -> None:
    queue, log = make_queue(), tmp_path / "log"
    (tmp_path / "app.py").write_text(APP)
    with open(log, "w") as stderr:
        env = {"QUEUE": queue.name, "STORE": store_url}
        worker = start_command("hotqueue-worker", "app", "-p", 1, "--metrics-port", 0, cwd=tmp_path, env=env, stderr=stderr)
    assert queue.send("app.pid").get(timeout=30) != worker.pid
    said = log.read_text()
    assert "no metrics: " in said
    assert "metrics: http://" not in said
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
