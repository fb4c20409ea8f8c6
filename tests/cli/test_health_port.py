"""`--health-port`: where it listens, by default and when told; values that are none; from the command line and elsewhere.

What is answered there is in tests/tasks/supervisor/test_health.py and tests/tasks/supervisor/test_supervisor.py.
"""

from __future__ import annotations

import re
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.needs import lacking
from tests.support.processes import run_command, start_command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")
Start = Callable[..., str]


@pytest.fixture
def start(make_queue: Callable[..., HotQueue], store_url: str, tmp_path: Path) -> Iterator[Start]:
    """``start(value)`` → the address that a worker with that --health-port says it listens at."""
    started: list[Any] = []

    def begin(*options: str, **env: str) -> str:
        log = tmp_path / "log"
        with open(log, "w") as stderr:
            arguments = ("-Q", make_queue().name, "-u", store_url, "-p", 1, *options)
            started.append(start_command("hotqueue-worker", *arguments, cwd=tmp_path, stderr=stderr, env=env))
        return wait_until(lambda: re.search(r"health port: http://(\S+)/livez and /readyz", log.read_text()))[1]

    yield begin
    for worker in started:
        worker.send_signal(signal.SIGTERM)
        worker.wait(20)
        worker.communicate()


def is_live(address: str) -> bool:
    with urllib.request.urlopen(f"http://{address}/livez", timeout=30) as answer:
        return bool(answer.status == 200)


def own_address() -> str:
    """Return an address of this machine that is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            raise lacking("a network") from None
        return str(probe.getsockname()[0])


def is_reached(host: str, port: str) -> bool:
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_port_alone_is_reached_from_this_machine_only(start: Start) -> None:
    host, port = start("--health-port", "0").split(":")
    assert host == "127.0.0.1"
    assert is_live(f"127.0.0.1:{port}")
    assert not is_reached(own_address(), port)


def test_every_address_is_one_that_has_to_be_asked_for(start: Start) -> None:
    host, port = start("--health-port", "0.0.0.0:0").split(":")
    assert host == "0.0.0.0"
    assert is_live(f"127.0.0.1:{port}")
    assert is_reached(own_address(), port)


@pytest.mark.parametrize("value", ["127.0.0.1:0", "localhost:0", " 0 "])
def test_names_and_addresses(start: Start, value: str) -> None:
    assert is_live(start("--health-port", value))


@pytest.mark.parametrize(("value", "too"), [("[::1]:0", ""), ("[::]:0", "127.0.0.1")])
def test_ipv6_stands_in_brackets(start: Start, value: str, too: str) -> None:
    if not has_ipv6():
        raise lacking("IPv6")
    address = start("--health-port", value)
    assert address.startswith(value.removesuffix("0"))
    assert is_live(address)
    assert not too or is_live(f"{too}:{address.rpartition(':')[2]}")


def test_it_may_be_set_elsewhere(start: Start, tmp_path: Path) -> None:
    assert start(HOTQUEUE_HEALTH_PORT="0.0.0.0:0").startswith("0.0.0.0:")
    for setting in ("0", '"localhost:0"'):
        (tmp_path / "pyproject.toml").write_text(f"[tool.hotqueue]\nhealth-port = {setting}\n")
        assert is_live(start())


@pytest.mark.parametrize(
    "value", ["", "x", "65536", "-1", "1.5", ":8080", "0.0.0.0:", "a b:1", "::1:8080", "[::1]", "http://h:1", "h:99999"]
)
def test_what_is_no_address_is_said_with_what_to_write(value: str, store_url: str) -> None:
    done = run_command("hotqueue-worker", "-Q", "any", "-u", store_url, "--health-port", value)
    assert done.returncode == 2
    assert repr(value) in done.stderr
    assert "write PORT (reached from this machine only), HOST:PORT or [IPv6]:PORT; 0.0.0.0:8080 is every address" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("value", ["no.such.host.invalid:8080", "192.0.2.1:8080"])
def test_an_address_of_another_machine_is_refused(value: str, store_url: str) -> None:
    done = run_command("hotqueue-worker", "-Q", "any", "-u", store_url, "--health-port", value)
    assert done.returncode == 2
    assert done.stderr.startswith(f"hotqueue-worker: --health-port {value} cannot be listened to: ")
    assert "name an address of this machine" in done.stderr
    assert done.stderr.count("\n") == 1
