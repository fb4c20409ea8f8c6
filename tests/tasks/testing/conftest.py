"""The fixture of the tests that run inside of `queue.testing()`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tasks.testing.tasks import queue


@pytest.fixture
def sandbox() -> Iterator[None]:
    with queue.testing():
        yield
