"""A queue is taken from a server at one moment, in which that server stands still: a long one only when told that it may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError
from hotqueue.transfer import hold_up
from hotqueue.transfer.copying import export
from tests.support.processes import run_command
from tests.support.servers import RedisServer


@pytest.fixture
def source(start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch) -> str:
    """A server with a queue of more elements than are taken at once."""
    monkeypatch.setattr(hold_up, "ELEMENTS", 100)
    server = start_redis()
    with HotQueue("clicks", url=server.url) as queue:
        queue.task(name="work")(print).map(range(80))  # each is in `tasks` and in `ready`
    return server.url


def test_a_long_queue_is_not_taken_from_a_server_that_may_be_in_use(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        export(source, str(tmp_path / "copy.rdb"))
    said = str(caught.value)
    assert said.startswith(f"queue 'clicks' at {source} has 16")
    assert "elements: to copy them at one moment would keep that server from everything else" in said
    assert "say --hold-up" in said
    assert not (tmp_path / "copy.rdb").exists()
    with HotQueue("clicks", url=source) as queue:
        assert queue._store.client().keys("*export*") == []


def test_it_is_when_told_that_the_server_may_stop(source: str, tmp_path: Path) -> None:
    assert export(source, str(tmp_path / "copy.rdb"), hold_up=True).tasks == 80


def test_the_command_has_the_option(start_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = start_redis()
    with HotQueue("clicks", url=server.url) as queue:
        queue.put(1)
    done = run_command("hotqueue", "embedded", "export", server.url, str(tmp_path / "copy.rdb"), "--hold-up")
    assert "1 queue, 1 message" in done.stdout


def test_what_is_copied_from_a_file_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_up, "ELEMENTS", 10)
    with HotQueue("clicks", dbfilename=tmp_path / "here.rdb") as queue:
        queue.put(*range(100))
        assert export(str(tmp_path / "here.rdb"), str(tmp_path / "copy.rdb")).messages == 100
