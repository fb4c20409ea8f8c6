"""What several files of crash tests start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.deployment import Deployment
from tests.crash.rig import Rig
from tests.support.servers import RedisServer


@pytest.fixture
def rig(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Rig]:
    """A queue on a server of its own; the workers' log is shown when the test fails."""
    server = start_redis()
    made = Rig(tmp_path, server.url, server.client())
    yield made
    made.stop()
    print(made.said()[-4000:])


@pytest.fixture
def deployment(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A queue whose workers can be harmed; their log is shown when the test fails."""
    made = Deployment(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])
