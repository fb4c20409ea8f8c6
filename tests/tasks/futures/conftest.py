"""A worker without any code of its own, for calls of whatever kind; one a file, as it takes a second to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support import processes
from tests.support.servers import Servers

THREADS = 5


@pytest.fixture(scope="module")
def served(servers: Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a queue on the stand-alone server that a worker of five threads serves."""
    name = f"test-futures-{request.module.__name__.rpartition('.')[2]}"
    url = servers.url("server")
    worker = processes.start_command("hotqueue-worker", "-Q", name, "--url", url, "-p", "1", "-t", str(THREADS), "-q")
    yield name
    worker.terminate()
    worker.communicate(timeout=20)
    assert worker.returncode == 0


@pytest.fixture
def queue(served: str, servers: Servers) -> Iterator[HotQueue]:
    with HotQueue(served, url=servers.url("server")) as queue:
        yield queue
        queue.discard_dead(all=True)


@pytest.fixture
def unserved(make_queue: Callable[..., Any]) -> HotQueue:
    """A queue that nobody serves: what is sent there waits."""
    return make_queue()
