"""Importing, mending, upgrading and looking at database files, with real servers."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from hotqueue import HotQueue, embedded
from hotqueue.embedded.binaries import Server
from hotqueue.errors import ConfigError
from tests.support.embedded_users import (
    Users,
    count,
    fill,
    journal,
)
from tests.support.servers import system

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


# Importing


# Damage


@pytest.mark.parametrize("cut", [1, 7])
def test_an_incomplete_end_is_dropped_and_told(path: Path, binary: str, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    fill(path, 50)
    os.truncate(journal(path), journal(path).stat().st_size - cut)
    with caplog.at_level(logging.WARNING, logger="hotqueue.embedded"):
        assert count(path) == 49
    assert "bytes of the journal were incomplete" in caplog.text


def damage(path: Path) -> None:
    """Overwrite twenty bytes in the middle of the journal."""
    with journal(path).open("r+b") as file:
        file.seek(journal(path).stat().st_size // 2)
        file.write(b"\0" * 20)


def test_damage_in_the_middle_is_refused_until_repaired(path: Path, binary: str) -> None:
    fill(path, 50)
    damage(path)
    with pytest.raises(ConfigError, match=r"is damaged.*hotqueue embedded repair"):
        count(path)
    told = embedded.repair(path)
    assert told["dropped_bytes"] > 0
    assert Path(told["backup"]).is_dir()
    assert 20 < count(path) < 26
    assert embedded.repair(path)["dropped_bytes"] == 0


def test_repair_keeps_off_a_database_in_use(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    with pytest.raises(ConfigError, match=rf"in use \(by process {user.process.pid}\)"):
        embedded.repair(path)
    assert user.do("len") == "1"


def test_repair_needs_something_to_repair(path: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        embedded.repair(path)
    with pytest.raises(ConfigError, match="no file"):
        embedded.repair(":memory:")


# Servers of several versions


def test_upgrade_only_when_told_and_with_a_backup(
    path: Path, two_servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two_servers
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    fill(path, 10)
    monkeypatch.setenv("HOTQUEUE_SERVER", new.binary)
    with pytest.raises(ConfigError, match=f"written by {old}.*hotqueue embedded upgrade .*backup"):
        count(path)
    if not old.folders:
        path.with_name("db.rdb.hotqueue").joinpath("server.json").unlink()
        with pytest.raises(ConfigError, match=r"written by redis 6\.2"):  # the journal's form tells
            count(path)
    told = embedded.upgrade(path)
    assert told["to"] == str(new)
    assert {entry.name for entry in Path(told["backup"]).iterdir()} >= {"db.rdb", f"db.rdb.aof{'dir' if old.folders else ''}"}
    assert count(path) == 10
    assert embedded.upgrade(path)["backup"] is None
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    with pytest.raises(ConfigError, match="cannot read it"):
        count(path)


def test_an_upgrade_that_fails_changes_nothing(
    path: Path, two_servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two_servers
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    fill(path, 50)
    whole = journal(path).read_bytes()
    damage(path)
    damaged = journal(path).read_bytes()
    monkeypatch.setenv("HOTQUEUE_SERVER", new.binary)
    with pytest.raises(ConfigError, match="damaged"):
        embedded.upgrade(path)
    assert journal(path).read_bytes() == damaged
    journal(path).write_bytes(whole)
    monkeypatch.setenv("HOTQUEUE_SERVER", old.binary)
    assert count(path) == 50


def test_the_series_that_wrote_a_file_is_found_again(
    path: Path, two_servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's program comes first, but a file that the system's wrote goes to the one on the PATH."""
    [writer] = [server for server in two_servers if server.binary == system()]
    monkeypatch.setenv("HOTQUEUE_SERVER", writer.binary)
    fill(path, 5)
    monkeypatch.delenv("HOTQUEUE_SERVER")
    monkeypatch.setenv("PATH", str(Path(writer.binary).parent))
    assert count(path) == 5
    assert embedded.status(path)["version"] == str(writer).split()[1]


# Status


def test_status_of_a_running_server(path: Path, users: Users) -> None:
    user = users(path, "put", "a")
    told = json.loads(json.dumps(embedded.status(path)))
    assert told["path"] == str(path)
    assert told["running"]
    assert told["answers"]
    assert str(told["pid"]) == user.do("pid")
    assert told["users"] == [user.process.pid]
    assert told["keys"] == 1
    assert told["durability"] == "everysec"
    assert told["disk_ok"]


def test_status_starts_nothing(path: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        embedded.status(path)
    assert not list(path.parent.iterdir())
    fill(path, 1)
    told = embedded.status(path)
    assert not told["running"]
    assert told["pid"] is None
    assert told["users"] == []
    assert told["journal_bytes"] > 0


def test_a_server_that_was_stopped_has_kept_all_and_starts_again(path: Path) -> None:
    with HotQueue("q", dbfilename=path) as queue:
        queue.put("a")
        assert embedded.stop(path) == {"path": str(path), "stopped": True}
        assert not embedded.status(path)["running"]
        assert embedded.stop(path) == {"path": str(path), "stopped": False}
        queue.put("b")  # whoever uses it starts it again
        assert [queue.get(), queue.get()] == ["a", "b"]


def test_there_is_nothing_to_stop_where_there_is_no_database(path: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        embedded.stop(path)


# Databases that others write, too
