"""What the tests of the store share: a key of their own, and a proxy that does harm on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.proxy import Proxy


@pytest.fixture
def key(queue_name: str) -> str:
    return f"hotqueue:{queue_name}"


@pytest.fixture
def proxy(store_url: str) -> Iterator[Proxy]:
    """A proxy in front of the store, which must be a stand-alone server."""
    running = Proxy(store_url)
    yield running
    running.close()
