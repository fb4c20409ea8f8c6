"""hotqueue metrics: printed once, or answered over HTTP; a server that is away, a taken port, a path that is none."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.processes import start_command
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytest.importorskip("prometheus_client")
pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


def get(url: str, **headers: str) -> tuple[int, str, str]:
    """Return status, content type and text."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture
def listening(store_url: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """``listening(*args)`` → the URL that ``hotqueue metrics --listen 0`` says it answers at."""
    started: list[subprocess.Popen[str]] = []

    def begin(*args: object, url: str = store_url) -> str:
        log = tmp_path / f"log-{len(started)}"
        with open(log, "w") as stderr:
            started.append(start_command("hotqueue", "metrics", "--listen", 0, "-u", url, *args, stderr=stderr))
        return wait_until(lambda: re.search(r"^(http://\S+/metrics)$", log.read_text(), re.MULTILINE))[1]

    yield begin
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        process.communicate()


def test_what_is_asked_for_is_printed(make_queue: MakeQueue, store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    queue.put("a message")
    done = call("metrics", queue.name, "-u", store_url)
    assert (done.code, done.err) == (0, "")
    assert f'hotqueue_messages{{queue="{queue.name}"}} 1.0' in done.lines
    assert f'queue="{queue.name}"' in call("metrics", "-u", store_url).out
    queue.clear()


def test_a_port_that_is_taken_is_a_mistake(store_url: str, call: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = call("metrics", "--listen", taken.getsockname()[1], "-u", store_url)
    assert (done.code, done.out) == (2, "")
    assert re.search(r"^hotqueue: --listen \S+ cannot be listened to: Address already in use; name a free port$", done.err)


def test_it_answers_whoever_asks(listening: Callable[..., str], make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a message")
    url = listening(queue.name)
    status, kind, text = get(url)
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert f'hotqueue_messages{{queue="{queue.name}"}} 1.0' in text
    assert get(url, Accept="application/openmetrics-text; version=1.0.0")[1].startswith("application/openmetrics-text")
    assert get(url.removesuffix("metrics"))[0] == 404
    address = re.split(r"//|:|/", url)
    with socket.create_connection((address[2], int(address[3]))):  # who says nothing holds up nobody
        assert get(url)[0] == 200
    queue.put("another")
    wait_until(lambda: f'hotqueue_messages{{queue="{queue.name}"}} 2.0' in get(url)[2])
    queue.clear()


def test_a_server_that_is_away_is_said_and_comes_back(
    listening: Callable[..., str], start_redis: Callable[..., RedisServer]
) -> None:
    own_server = start_redis()
    url = listening("shop", url=own_server.url)
    with HotQueue("shop", url=own_server.url) as queue:
        queue.put("a message")
    assert wait_until(lambda: get(url)[0] == 200)
    own_server.stop()
    assert wait_until(lambda: get(url)[0] == 503, 60)
    own_server.start()
    assert wait_until(lambda: get(url)[0] == 200, 60)
