"""Fixtures of the tests of the plain queue: a process that holds a message, a proxy that does harm."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.support.plain_queue import HOLD
from tests.support.proxy import Proxy

StartPython = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(start_python: StartPython, queue_name: str, store_url: str) -> Callable[..., subprocess.Popen[str]]:
    """``hold()`` → a process that consumes the queue and holds its first message."""

    def start(code: str = HOLD, first: str = "got") -> subprocess.Popen[str]:
        process = start_python(code, queue_name, store_url)
        assert process.stdout
        assert process.stdout.readline().startswith(first), process.communicate()
        return process

    return start


@pytest.fixture
def proxy(store_url: str) -> Iterator[Proxy]:
    """A proxy in front of the store, which must be a stand-alone server."""
    running = Proxy(store_url)
    yield running
    running.close()
