"""Liveness and readiness over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from hotqueue.errors import ConfigError
from hotqueue.runtime.wake_pipe import readable
from hotqueue.tasks.supervisor.health import HealthPort

Serve = Callable[..., HealthPort]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(path=probe, …)`` → a health port that answers, as a supervisor's loop would have it."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    ports: list[HealthPort] = []

    def loop(port: HealthPort) -> None:
        while not over.is_set():
            if readable([port.fileno()], 0.05):
                port.answer()

    def start(**probes: Callable[[], tuple[bool, dict[str, object]]]) -> HealthPort:
        ports.append(HealthPort(0, {f"/{name}": probe for name, probe in probes.items()}))
        threads.append(threading.Thread(target=loop, args=(ports[-1],)))
        threads[-1].start()
        return ports[-1]

    yield start
    over.set()
    for thread in threads:
        thread.join()
    for port in ports:
        port._socket.close()


def ask(port: HealthPort, path: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port.port}{path}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_well_is_200_not_well_is_503_and_the_rest_404(serve: Serve) -> None:
    port = serve(good=lambda: (True, {"a": 1}), bad=lambda: (False, {"b": None}))
    assert [ask(port, p)[0] for p in ("/good", "/good?x=1", "/bad", "/other", "/")] == [200, 200, 503, 404, 404]
    (_, good), (_, bad) = ask(port, "/good"), ask(port, "/bad")
    assert isinstance(good, dict)
    assert good["a"] == 1
    assert isinstance(bad, dict)
    assert bad["b"] is None


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", b"\xff\xfe\x00", b"x" * 10_000])
def test_a_broken_client_harms_nobody(serve: Serve, sent: bytes) -> None:
    port = serve(good=lambda: (True, {}))
    with socket.create_connection(("127.0.0.1", port.port)) as client:
        if sent:
            client.sendall(sent)
    assert ask(port, "/good")[0] == 200


def test_a_silent_client_is_dropped(serve: Serve) -> None:
    port = serve(good=lambda: (True, {}))
    with socket.create_connection(("127.0.0.1", port.port)):
        assert ask(port, "/good")[0] == 200


def test_a_port_that_is_taken_is_said_so(serve: Serve) -> None:
    port = serve()
    with pytest.raises(ConfigError, match=f"--health-port {port.port} cannot be listened to: .*; name a free port"):
        HealthPort(port.port, {})
