"""Where a database's files are, whose they may be, and what no database can be: each refused in one clear sentence."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hotqueue.embedded import default_path
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConfigError
from tests.support.embedded_users import (
    PROGRAMS,
    Refusal,
    kill_server,
    nothing_left,
    real_server,
)
from tests.support.processes import run_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")

needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root, to make other users' files")
STRANGER = 12345


def test_a_directory_that_does_not_exist(tmp_path: Path, refusal: Refusal) -> None:
    said = refusal(tmp_path / "missing" / "db.rdb")
    assert f"no directory {tmp_path}/missing" in said
    assert "url=" in said


def test_a_directory_instead_of_a_file(path: Path, refusal: Refusal) -> None:
    path.mkdir()
    assert f"{path} is a directory: name a file in it" in refusal()


def test_a_file_that_is_no_database(path: Path, refusal: Refusal) -> None:
    path.write_text("my shopping list")
    assert f"{path} is not a Redis database" in refusal()
    assert path.read_text() == "my shopping list"


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    made = EmbeddedServer(path)
    assert ask(made.ensure(), b"DBSIZE") == b"0"
    made.close()


def test_a_backslash_in_the_name(tmp_path: Path, refusal: Refusal) -> None:
    assert "no backslash" in refusal(tmp_path / "a\\b.rdb")


@pytest.mark.parametrize("name", ["", b"", "a\0b"])
def test_no_name_at_all(name: str) -> None:
    with pytest.raises(ConfigError, match="names no file"):
        EmbeddedServer(name)


@needs_root
@pytest.mark.parametrize("planted", ["db.rdb", "db.rdb.aof", "db.rdb.aofdir", "db.rdb.hotqueue"])
def test_files_of_another_user(path: Path, refusal: Refusal, planted: str) -> None:
    """A planted database is a set of pickles that a worker would run."""
    target = path.with_name(planted)
    target.mkdir() if planted.endswith(("dir", "hotqueue")) else target.write_bytes(b"REDIS0009")
    os.chown(target, STRANGER, STRANGER)
    said = refusal()
    assert f"{target} belongs to user {STRANGER}" in said
    assert "run producers and workers as one user, or name a Redis server with url=" in said


@needs_root
def test_a_link_in_place_of_the_run_folder(path: Path, refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.with_name("db.rdb.hotqueue").symlink_to(tmp_path / "elsewhere")
    assert "in the way" in refusal()
    assert not list((tmp_path / "elsewhere").iterdir())


@needs_root
def test_a_directory_without_the_right_to_write(short_folder: Path) -> None:
    """As an ordinary user: root may write everywhere."""
    code = (
        "import os, sys, hotqueue.embedded.server as embedded\n"
        f"os.setgid({STRANGER}); os.setuid({STRANGER})\n"
        "embedded.EmbeddedServer(sys.argv[1]).ensure()"
    )
    done = run_python(code, short_folder / "db.rdb", check=False)
    assert f"ConfigError: cannot write in {short_folder}" in done.stderr
    assert "url=" in done.stderr


def test_spellings_of_one_path_are_one_server(tmp_path: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path)
    (tmp_path / "link.rdb").symlink_to(tmp_path / "db.rdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in ("db.rdb", "folder/../db.rdb", f"{tmp_path}//db.rdb", "alias/db.rdb", "link.rdb", "~/db.rdb", b"db.rdb"):
        other = EmbeddedServer(spelling)  # type: ignore[arg-type]
        assert other.ensure() == server.ensure()
        other.close()


@pytest.mark.parametrize(
    "name",
    [
        "with space.rdb",
        "it's.rdb",
        'a"b.rdb',
        "back\\slash.rdb",
        "new\nline.rdb",
        "füñ日.rdb",
        "\udcff.rdb",
        "l" * 100,
        "%s{}#.rdb",
    ],
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_any_file_name_will_do(tmp_path: Path, name: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_SERVER", str(real_server(program)))
    for folder in (tmp_path, tmp_path / name):
        folder.mkdir(exist_ok=True)
        made = EmbeddedServer(folder / f"x{name}".replace("\\", ""))  # no backslash: the server refuses it in a file name
        ask(made.ensure(), b"RPUSH", b"q", b"x")
        made.close()
        assert os.path.exists(made.path)
        assert ask(made.ensure(), b"LLEN", b"q") == b"1"
        made.close()
    nothing_left(tmp_path)


def test_two_databases_in_one_folder_stay_apart(tmp_path: Path) -> None:
    one, two = EmbeddedServer(tmp_path / "one.rdb"), EmbeddedServer(tmp_path / "two.rdb")
    for made, count in ((one, 3), (two, 1)):
        for _ in range(count):
            ask(made.ensure(), b"RPUSH", b"q", b"x")
    for made, count in ((one, b"3"), (two, b"1")):
        kill_server(made.ensure())
        assert ask(made.ensure(after_error=True), b"LLEN", b"q") == count
        made.close()
    nothing_left(tmp_path)


def test_only_the_owner_can_read_what_is_written(path: Path, server: EmbeddedServer) -> None:
    ask(server.ensure(), b"RPUSH", b"q", b"x")
    run = path.with_name("db.rdb.hotqueue")
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    server.close()
    for entry in [*path.parent.iterdir(), *run.iterdir()]:
        if entry.is_file():
            assert stat.S_IMODE(entry.stat().st_mode) == 0o600, entry


def test_the_default_is_one_file_per_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = EmbeddedServer(None)
    assert made.path == default_path() == str(tmp_path / "state" / "hotqueue" / "default.rdb")
    made.ensure()
    made.close()
    assert stat.S_IMODE((tmp_path / "state" / "hotqueue").stat().st_mode) == 0o700
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == str(tmp_path / ".local" / "state" / "hotqueue" / "default.rdb")
    nothing_left(tmp_path)


def test_a_home_that_cannot_be_written_says_what_else_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"XDG_STATE_HOME.*dbfilename=.*url="):
        EmbeddedServer(None).ensure()
