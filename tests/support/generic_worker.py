"""Fixtures: a queue of the stand-alone server, and a worker without code of its own; one a file, since it takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotqueue import HotQueue
from tests.support import processes
from tests.support.servers import Servers

THREADS = 5


@pytest.fixture(scope="module")
def served(servers: Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a queue that a worker of five threads serves."""
    name = f"test-served-{request.module.__name__.rpartition('.')[2]}"
    url = servers.url("server")
    worker = processes.start_command("hotqueue-worker", "-Q", name, "--url", url, "-p", "1", "-t", str(THREADS), "-q")
    yield name
    worker.terminate()
    worker.communicate(timeout=30)
    assert worker.returncode == 0


@pytest.fixture
def queue(served: str, servers: Servers) -> Iterator[HotQueue]:
    """That queue."""
    with HotQueue(served, url=servers.url("server")) as queue:
        yield queue
        queue.discard_dead(all=True)
