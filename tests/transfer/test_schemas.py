"""A copy has the schema of its source, and nothing is copied that this version does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue, NewerQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.transfer import copying
from tests.support import next_version
from tests.support.processes import run_command
from tests.support.servers import RedisServer
from tests.transfer.test_copying import opened

OLD, NEW = keys.SCHEMA, next_version.SCHEMA


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server with the queue "newer", of the next schema, in which a task waits."""
    made = start_redis()
    with HotQueue("newer", url=made.url) as queue, opened(made.url) as store:
        queue.submit(int, 1)
        next_version.upgrade(store, "newer")
    return made


def schema_in(place: str) -> tuple[int, bytes]:
    """Return the schema of the queue, and the number that its last place has."""
    with opened(place) as store:
        return Broker(store, "newer").schema(), store.command("newer", "GET", keys.seq("newer"))


def test_it_goes_along_from_server_to_file_and_back(
    server: RedisServer, start_redis: Callable[..., RedisServer], tmp_path: Path, next_folder: Path
) -> None:
    env, file, other = next_version.environment(next_folder, {}), str(tmp_path / "copy.rdb"), start_redis()
    expected = schema_in(server.url)
    assert expected == (NEW, str(OLD * keys.NUMBERS).encode())
    for source, target in ((server.url, file), (file, other.url)):
        run_command("hotqueue", "embedded", "export", source, target, env=env, check=True)
        assert schema_in(target) == expected


def test_one_that_is_upgraded_while_it_is_copied_is_whole(server: RedisServer, tmp_path: Path) -> None:
    """What the copy knows of the queue's keys is from before."""
    with opened(server.url) as source, opened(str(tmp_path / "copy.rdb")) as target:
        copying._take_queue(source, target, keys.queue("newer").encode(), [], lambda written: None)
        assert Broker(target, "newer").schema() == NEW


def test_what_is_newer_is_neither_copied_nor_replaced(server: RedisServer, tmp_path: Path) -> None:
    file = str(tmp_path / "file.rdb")
    with pytest.raises(NewerQueue, match="upgrade hotqueue here"):
        copying.export(server.url, file)
    assert not Path(file).exists()
    with HotQueue("newer", dbfilename=file) as queue:
        queue.put("message")
    before = server.client().dump(keys.tasks("newer"))
    with pytest.raises(NewerQueue, match="upgrade hotqueue here"):
        copying.export(file, server.url, replace=True)
    assert server.client().dump(keys.tasks("newer")) == before
