"""A worker without any code of its own, for calls of whatever kind; and a queue that nobody serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.generic_worker import queue, served

__all__ = ["queue", "served"]


@pytest.fixture
def unserved(make_queue: Callable[..., Any]) -> HotQueue:
    """A queue that nobody serves: what is sent there waits."""
    return make_queue()
