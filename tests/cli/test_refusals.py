"""Every command, and a plain program, at every database that the embedded server refuses: one sentence, never a traceback.

The kind: whatever is closed, collected or ended after a refusal must not fail in its turn. That is `close()` by hand, by
`with`, at the end of the process; for what belongs to another user, cannot be read, written or found, is damaged, of
another server, no file, or was taken away while it was open. A message that names a file in a command can be pasted.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import BECOME_STRANGER, PRELOAD, STRANGER, journal, nothing_left, short_folder
from tests.support.needs import lacking
from tests.support.processes import command_code, run_command, run_python

__all__ = ["short_folder"]  # a fixture
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be another user")

COMMANDS: dict[str, list[str]] = {
    "hotwatch": ["hotwatch", "--dbfilename", "FILE"],
    "hotwatch QUEUE": ["hotwatch", "q", "--dbfilename", "FILE"],
    "hotqueue info": ["hotqueue", "info", "--dbfilename", "FILE"],
    "hotqueue-worker": ["hotqueue-worker", "-Q", "q", "--burst", "--dbfilename", "FILE"],
    "status": ["hotqueue", "embedded", "status", "FILE"],
    "export": ["hotqueue", "embedded", "export", "FILE", "COPY"],
    "export to": ["hotqueue", "embedded", "export", "redis://127.0.0.1:1", "FILE"],
    "upgrade": ["hotqueue", "embedded", "upgrade", "FILE", "--yes"],
    "repair": ["hotqueue", "embedded", "repair", "FILE", "--yes"],
}
PROGRAMS = {
    "with": "with HotQueue('q', dbfilename=sys.argv[1]) as q: q.put(1)",
    "close": "q = HotQueue('q', dbfilename=sys.argv[1])\ntry: q.put(1)\nfinally: q.close()",
    "end": "HotQueue('q', dbfilename=sys.argv[1]).put(1)",
    "fork": "q = HotQueue('q', dbfilename=sys.argv[1])\nif not os.fork(): os._exit(0)\nos.wait(); len(q)",
    "asyncio": "async def main():\n async with HotQueue('q', dbfilename=sys.argv[1]) as q: await q.aput(1)\nasyncio.run(main())",
}
IMPORTS = "import asyncio, os, sys\nfrom hotqueue import HotQueue\n"


def fill(path: Path) -> Path:
    server = EmbeddedServer(path)
    for number in range(50):
        ask(server.ensure(), b"RPUSH", b"hotqueue:q", b"message %d" % number)
    server.close()
    return path


def of_another(folder: Path) -> Path:
    return fill(folder / "db.rdb")


def folder_of_another(folder: Path) -> Path:
    (folder / "db.rdb.hotqueue").mkdir(mode=0o700)
    return folder / "db.rdb"


def not_searchable(folder: Path) -> Path:
    fill(folder / "db.rdb")
    folder.chmod(0o700)
    return folder / "db.rdb"


def below_one_not_searchable(folder: Path) -> Path:
    (folder / "in").mkdir()
    folder.chmod(0o700)
    return folder / "in" / "db.rdb"


def not_writable(folder: Path) -> Path:
    return folder / "db.rdb"


def file_not_readable(folder: Path) -> Path:
    (folder / "db.rdb").write_bytes(b"REDIS0009")
    (folder / "db.rdb").chmod(0)
    for path in (folder, folder / "db.rdb"):
        os.chown(path, STRANGER, STRANGER)
    return folder / "db.rdb"


def files_not_writable(folder: Path) -> Path:
    """As on a file system that is mounted to be read."""
    fill(folder / "db.rdb")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, STRANGER, STRANGER)
        path.chmod(0o500 if path.is_dir() else 0o400)
    return folder / "db.rdb"


def a_directory(folder: Path) -> Path:
    (folder / "db.rdb").mkdir()
    return folder / "db.rdb"


def no_directory(folder: Path) -> Path:
    return folder / "none" / "db.rdb"


def in_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "db.rdb"


def too_long(folder: Path) -> Path:
    return folder / ("d" * 300)


def no_database(folder: Path) -> Path:
    (folder / "db.rdb").write_text("my shopping list")
    return folder / "db.rdb"


def damaged(folder: Path) -> Path:
    fill(folder / "db.rdb")
    with journal(folder / "db.rdb").open("r+b") as file:
        file.seek(journal(folder / "db.rdb").stat().st_size // 2)
        file.write(b"\0" * 20)
    return folder / "db.rdb"


def of_a_newer_server(folder: Path) -> Path:
    fill(folder / "db.rdb")
    record = folder / "db.rdb.hotqueue" / "server.json"
    record.write_text(json.dumps({"server": "redis", "version": "99.1.0", "binary": "/gone"}))
    return folder / "db.rdb"


BY_ANOTHER = [of_another, folder_of_another, not_searchable, below_one_not_searchable, not_writable, file_not_readable]
BY_ANOTHER += [files_not_writable]
BY_ITS_USER = [a_directory, no_directory, in_a_file, too_long, no_database, damaged, of_a_newer_server]
LETS = {"damaged": ("status", "repair", "upgrade"), "of_a_newer_server": ("status",)}
Setup = Callable[[Path], Path]


# Imports once, then runs each source in a fork of its own; answers with what each of them said. A source ends as by itself.
RUNNER = (
    PRELOAD
    + """
import json, sys, tempfile
told = {}
sources = json.load(sys.stdin)
for name, (source, words) in sources.items():
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    pid = os.fork()
    if not pid:
        break
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told[name] = [code, *(os.pread(file.fileno(), 1 << 20, 0).decode() for file in (out, err))]
else:
    print(json.dumps(told))
    sys.exit()
os.dup2(out.fileno(), 1)
os.dup2(err.fileno(), 2)
become()
sys.argv[1:] = words
exec(compile(source, "<source>", "exec"), {"__name__": "__main__"})
"""
)


def check(setup: Setup, folder: Path, become: str = "pass") -> None:
    """Run all commands and programs: each says one sentence."""
    path = setup(folder)
    env = {"PATH": str(Path(sys.executable).parent)}  # no server of the system's, to which `upgrade` would want to go on
    meant = {"FILE": str(path), "COPY": str(folder / "copy.rdb")}
    sources = {name: (command_code(words[0]), [meant.get(word, word) for word in words[1:]]) for name, words in COMMANDS.items()}
    programs = PROGRAMS if setup in (of_another, a_directory) else ["with"]
    sources = {**{name: (IMPORTS + PROGRAMS[name], [str(path)]) for name in programs}, **sources}
    done = run_python(f"def become(): {become}\n{RUNNER}", input=json.dumps(sources), env=env, timeout=100)
    for name, (code, out, err) in json.loads(done.stdout).items():
        _judge(name, code, out, err, lets=LETS.get(setup.__name__, ()))


def _judge(name: str, code: int, out: str, err: str, lets: tuple[str, ...]) -> None:
    said = f"{name}: exit code {code}\n{out}\n{err}"
    if name in lets:
        assert (code, err) == (0, ""), said
    elif name in PROGRAMS:
        assert code == 1, said
        errors = re.findall(r"^hotqueue\.[A-Z]", err, re.MULTILINE)
        assert len(errors) == err.count("Traceback") - err.count("direct cause") == 1, said
        assert "During handling" not in err, said
        assert "ignored" not in err, said
    else:
        assert code in ((2, 4) if name == "hotqueue-worker" else (1,)), said
        assert "Traceback" not in err, said
        assert out == "", said
        assert name == "hotqueue-worker" or err.count("\n") == 1, said  # a worker logs as well


@needs_root
@pytest.mark.parametrize("setup", BY_ANOTHER, ids=lambda setup: setup.__name__)
def test_a_refusal_to_another_user_is_one_sentence(setup: Setup, short_folder: Path) -> None:
    folder = short_folder / "work"
    folder.mkdir()
    check(setup, folder, BECOME_STRANGER)


@pytest.mark.parametrize("setup", BY_ITS_USER, ids=lambda setup: setup.__name__)
def test_a_refusal_to_its_user_is_one_sentence(setup: Setup, tmp_path: Path) -> None:
    check(setup, tmp_path)
    nothing_left(tmp_path)


@needs_root
def test_while_the_server_runs_another_user_is_told_the_same(short_folder: Path) -> None:
    server = EmbeddedServer(short_folder / "db.rdb")
    server.ensure()
    try:
        check(lambda folder: folder / "db.rdb", short_folder, BECOME_STRANGER)
    finally:
        server.close()
    nothing_left(short_folder)


@pytest.fixture
def read_only(short_folder: Path) -> Iterator[Path]:
    """A file system mounted to be read, with a database on it."""
    mounted = short_folder / "disk"
    mounted.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "none", mounted], capture_output=True, check=False).returncode:
        raise lacking("the right to mount a file system")
    try:
        fill(mounted / "db.rdb")
        nothing_left(mounted)
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_file_system_that_can_only_be_read(read_only: Path) -> None:
    check(lambda folder: folder / "db.rdb", read_only)


TAKEN_AWAY = {
    "folder removed": "shutil.rmtree(folder)",
    "run folder removed": "shutil.rmtree(path + '.hotqueue')",
    "run folder replaced by a file": "shutil.rmtree(path + '.hotqueue'); open(path + '.hotqueue', 'w').close()",
    "locks removed": "[os.unlink(path + '.hotqueue/' + name) for name in os.listdir(path + '.hotqueue')]",
}


@pytest.mark.parametrize("how", TAKEN_AWAY)
@pytest.mark.parametrize("end", ["q.close()", "pass", "del q; gc.collect()"])
def test_closing_what_was_taken_away_is_silent(how: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code = "import gc, os, shutil, sys\nfrom hotqueue import HotQueue\nfolder = sys.argv[1]; path = folder + '/db.rdb'\n"
    code += f"q = HotQueue('q', dbfilename=path); q.put(1)\n{TAKEN_AWAY[how]}\n{end}"
    done = run_python(code, tmp_path / "in")
    assert done.stderr == ""
    nothing_left(tmp_path)


@pytest.mark.parametrize("name", ["two words.rdb", "it's.rdb", "schöne Grüße.rdb", "$(touch x).rdb", "-x.rdb"])
def test_a_command_in_a_message_can_be_pasted(name: str, tmp_path: Path) -> None:
    path = damaged(tmp_path).rename(tmp_path / name)
    for each in tmp_path.glob("db.rdb.*"):
        each.rename(tmp_path / each.name.replace("db.rdb", name))
    said = run_command("hotwatch", "--dbfilename", path).stderr
    words = shlex.split(said.split("`")[1])
    assert words[1:] == ["embedded", "repair", str(path)]
    assert os.path.basename(words[0]) == "hotqueue"
    shutil.rmtree(tmp_path, ignore_errors=True)
