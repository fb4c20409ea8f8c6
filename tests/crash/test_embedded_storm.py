"""A storm over one database file: users, servers and guardians are killed at random while messages are put.

Held: no acknowledged message is lost, there are never two servers, work goes on after every blow, nothing is left.
HOTQUEUE_STORM_ROUNDS sets the number of blows (20), HOTQUEUE_STORM_SEED their choice.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.embedded_users import hold_writes, nothing_left, servers_of
from tests.support.processes import start_python
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
ROUNDS = int(os.environ.get("HOTQUEUE_STORM_ROUNDS", "20"))
CROWD = 4
SAME_SERVER = {name: value for name, value in os.environ.items() if name == "HOTQUEUE_SERVER"}

# Puts numbered messages for ever; what was acknowledged goes to a file that outlives kill -9.
PUTTER = r"""
import itertools, os, sys
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.embedded.guardian import ask

path, name, durability = sys.argv[1:]
server = EmbeddedServer(path, durability=durability)
acknowledged = os.open(os.path.join(os.path.dirname(path), name + ".ack"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
address = server.ensure()
for number in itertools.count():
    message = b"%s-%d" % (name.encode(), number)
    while True:
        try:
            reply = ask(address, b"RPUSH", b"q", message)
            if not reply.startswith(b"-LOADING"):
                break
            address = server.ensure(after_error=True)
        except OSError:
            address = server.ensure(after_error=True)
    assert reply.isdigit(), reply
    os.write(acknowledged, message + b"\n")
    if number % 64 == 0 and os.path.exists(os.path.join(os.path.dirname(path), name + ".leave")):
        sys.exit()
"""


class Storm:
    """The putters, and the blows that hit them."""

    def __init__(self, path: Path, durability: str, dice: random.Random) -> None:
        self.path = path
        self.durability = durability
        self.dice = dice
        self.putters: dict[str, subprocess.Popen[str]] = {}
        self.born = 0
        self.slowest = 0.0
        self.kills = {"user": 0, "server": 0, "guardian": 0}

    def add(self) -> None:
        name = f"p{self.born}"
        self.born += 1
        with (self.path.parent / f"{name}.err").open("w") as errors:
            self.putters[name] = start_python(
                PUTTER,
                self.path,
                name,
                self.durability,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=SAME_SERVER,
            )

    def any_putter(self) -> str:
        return self.dice.choice(sorted(self.putters))

    def kill_user(self) -> None:
        process = self.putters.pop(self.any_putter())
        process.kill()
        process.wait()
        self.kills["user"] += 1

    def kill_all_users(self) -> None:
        while self.putters:
            self.kill_user()

    def leave(self) -> None:
        name = self.any_putter()
        (self.path.parent / f"{name}.leave").touch()
        process = self.putters.pop(name)
        assert process.wait(timeout=30) == 0, (self.path.parent / f"{name}.err").read_text()

    def kill_servers_process(self, guardian: bool) -> None:
        if not guardian and self.durability == "everysec":  # which promises no more while the disk lags
            with contextlib.suppress(OSError):  # it is not there
                hold_writes(Files.of(str(self.path)).socket)
        for pid in servers_of(self.path.parent):
            try:
                if (b"embedded/guardian.py" in Path(f"/proc/{pid}/cmdline").read_bytes()) is guardian:
                    os.kill(pid, signal.SIGKILL)
                    self.kills["guardian" if guardian else "server"] += 1
            except (OSError, ProcessLookupError):
                pass  # it was faster

    def blow(self) -> None:
        kind = self.dice.choices(["user", "all", "leave", "server", "both", "guardian"], [4, 1, 3, 5, 2, 1])[0]
        if kind == "guardian":
            self.kill_servers_process(guardian=True)
        if kind in ("server", "both"):
            self.kill_servers_process(guardian=False)
        if kind in ("user", "both"):
            self.kill_user()
        if kind == "all":
            self.kill_all_users()
        if kind == "leave":
            self.leave()

    def acknowledged(self, name: str) -> int:
        try:
            return (self.path.parent / f"{name}.ack").stat().st_size
        except FileNotFoundError:
            return 0

    def work_goes_on(self) -> None:
        """Wait until every putter has put some more, with one server at most all the while."""
        while len(self.putters) < CROWD:
            self.add()
        before = {name: self.acknowledged(name) for name in self.putters}
        began = time.monotonic()

        def going() -> bool:
            assert sum(b"embedded/guardian.py" not in line for line in map(command_line, servers_of(self.path.parent))) <= 1
            for name, process in self.putters.items():
                assert process.poll() is None, (self.path.parent / f"{name}.err").read_text()
            return all(self.acknowledged(name) > size + 100 for name, size in before.items())

        wait_until(going)
        self.slowest = max(self.slowest, time.monotonic() - began)


def command_line(pid: int) -> bytes:
    """The command line; of one that has just gone, that of a guardian, which does no harm."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() or b"embedded/guardian.py"
    except OSError:
        return b"embedded/guardian.py"


@pytest.mark.timeout(60 + 10 * ROUNDS)
@pytest.mark.parametrize("durability", ["everysec", "always"])
def test_nothing_acknowledged_is_lost(tmp_path: Path, durability: str) -> None:
    seed = int(os.environ.get("HOTQUEUE_STORM_SEED", time.time_ns() % 10**6))
    storm = Storm(tmp_path / "db.rdb", durability, random.Random(seed))
    try:
        for _ in range(ROUNDS):
            storm.work_goes_on()
            storm.blow()
    finally:
        storm.kill_all_users()
    told = {line for file in tmp_path.glob("*.ack") for line in file.read_bytes().split(b"\n")[:-1]}
    server = EmbeddedServer(tmp_path / "db.rdb")
    kept = set(ask(server.ensure(), b"LRANGE", b"q", b"0", b"-1", timeout=60).split(b"\n"))
    server.close()
    print(f"seed {seed}: {len(told)} acknowledged, {len(told - kept)} lost, {storm.kills} killed, slowest {storm.slowest:.2f} s")
    assert not told - kept
    nothing_left(tmp_path)
