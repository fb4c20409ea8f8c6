"""What the tests of the embedded server share: a database file, a hold on its server, the refusal to open one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError, HotQueueError
from tests.support.embedded_users import (
    PROGRAMS,
    Refusal,
    nothing_left,
    private_folder,
    real_server,
    servers_of,
    short_folder,
    two_servers,
    users,
)

__all__ = ["private_folder", "short_folder", "two_servers", "users"]  # fixtures


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a database file can be; nothing may run there afterwards."""
    yield tmp_path / "db.rdb"
    nothing_left(tmp_path)


@pytest.fixture(params=PROGRAMS)
def binary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each server program in turn: their journals differ (one file, a folder)."""
    found = str(real_server(request.param))
    monkeypatch.setenv("HOTQUEUE_SERVER", found)
    return found


@pytest.fixture
def server(path: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(path)
    yield made
    made.close()
    nothing_left(path.parent)


@pytest.fixture
def refusal(path: Path) -> Iterator[Refusal]:
    """``refusal()`` → the sentence with which opening the path (or another one) fails, one line, and nothing started."""

    def attempt(at: Path = path, kind: type[HotQueueError] = ConfigError) -> str:
        made = EmbeddedServer(at)
        with pytest.raises(kind) as caught:
            made.ensure()
        made.close()
        assert not servers_of(path.parent)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    yield attempt
    nothing_left(path.parent)
