"""A dashboard of a queue, asked as a browser on this machine asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from hotqueue import HotQueue
from tests.support import dashboards


@pytest.fixture
def dashboard(make_queue: Callable[..., HotQueue]) -> Callable[..., TestClient]:
    """``dashboard(**options)`` → a client of a dashboard of the test's store; see `dashboards.client`."""

    def make(**options: Any) -> TestClient:
        return dashboards.client(make_queue(), **options)

    return make
