"""A server that is alive and does not answer: waited for, then named."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hotqueue.embedded import locks, waiting
from hotqueue.embedded.server import EmbeddedServer
from hotqueue.errors import ConnectionFailed
from tests.support.embedded_users import (
    nothing_left,
    server_pid,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")


def test_a_database_of_another_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared disk: the lock is seen, the socket is not reachable."""
    made = EmbeddedServer(path)
    pid = server_pid(made.ensure())
    run = path.with_name("db.rdb.hotqueue")
    (run / "server.lock").write_text(f"{pid} elsewhere")
    (run / "s").rename(run / "moved")
    monkeypatch.setattr(waiting, "SILENCE", 0.2)
    monkeypatch.setattr(locks, "poke_name", lambda name: 0)
    try:
        with pytest.raises(ConnectionFailed, match=rf"process {pid} on elsewhere.*serves one machine.*url="):
            made.ensure(after_error=True)
    finally:
        (run / "moved").rename(run / "s")
        made.close()
    nothing_left(path.parent)


def test_a_stopped_server_is_named_not_doubled(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = server_pid(server.ensure())
    monkeypatch.setattr(waiting, "SILENCE", 0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionFailed, match=rf"process {pid} on {os.uname().nodename}\) is alive but has not answered"):
            server.ensure(after_error=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert server_pid(server.ensure(after_error=True)) == pid
