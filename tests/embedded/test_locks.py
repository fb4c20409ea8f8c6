"""Locks of a database: who has them, and what a fork in the middle of a start keeps of them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from hotqueue.embedded import locks
from hotqueue.embedded.files import Files
from hotqueue.embedded.guardian import ask
from hotqueue.embedded.server import EmbeddedServer
from tests.support.durations import let_pass
from tests.support.embedded_users import (
    Refusal,
    nothing_left,
)
from tests.support.needs import lacking
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no embedded server on Windows")
STRANGER = 12345


def test_a_system_without_file_locks(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SUPPORTED", False)
    assert "does not run on" in refusal()


def test_a_stranger_on_our_name_is_ignored(path: Path) -> None:
    """Anyone can take a name; one that another user sits on must not keep us out."""
    if not locks.HAS_NAMES or os.geteuid() != 0:
        raise lacking("Linux and root")
    name = Files.of(str(path)).name
    pid = os.fork()
    if not pid:
        os.setuid(STRANGER)
        squatter = socket.socket(socket.AF_UNIX)
        squatter.bind(b"\0" + name)
        squatter.listen(5)
        while True:
            squatter.accept()
    try:
        wait_until(lambda: locks.poke_name(name) == STRANGER)
        made = EmbeddedServer(path)
        assert ask(made.ensure(), b"PING") == b"PONG"
        made.close()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_forks_during_starts_hold_no_lock(path: Path) -> None:
    """A fork in the middle of a start copies the locks of the start: the child must not keep them."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            made = EmbeddedServer(path)
            made.ensure()
            made.close()

    thread = threading.Thread(target=churn)
    thread.start()
    children = []
    try:
        for _ in range(30):
            child = os.fork()
            if not child:
                signal.pause()
                os._exit(0)
            children.append(child)
            let_pass(0.003)  # spreads the forks over the phases of a start
    finally:
        stop.set()
        thread.join(timeout=30)
        stuck = thread.is_alive()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert not stuck
    nothing_left(path.parent)


def test_a_lock_is_had_by_one_or_shared_by_many_until_it_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert locks.is_free(path)  # there is no such file yet
    first, second = locks.open_lock(path), locks.open_lock(path)
    assert locks.try_lock(first, shared=True)
    assert (locks.is_free(path), locks.is_free(path, shared=True)) == (False, True)
    assert locks.try_lock(second, shared=True)
    locks.close_lock(first)
    assert locks.try_lock(second)
    assert not locks.is_free(path, shared=True)
    locks.close_lock(second)
    assert locks.is_free(path)


def test_a_lock_whose_file_was_replaced_is_not_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    held = locks.open_lock(path)
    assert locks.same_file(held, path)
    os.unlink(path)
    assert not locks.same_file(held, path)
    locks.close_lock(locks.open_lock(path))
    assert not locks.same_file(held, path)
    locks.close_lock(held)
