"""What takes longer than a second is shown on a terminal while it lasts, and leaves nothing there; elsewhere there is nothing."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.cli import progress
from tests.support.processes import run_command
from tests.support.waiting import wait_until


class Screen:
    """A terminal that standard error goes to."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.text = ""

    def read(self) -> str:
        """Return all that was written so far."""
        try:
            self.text += os.read(self.ours, 65536).decode()
        except BlockingIOError:
            pass
        return self.text


@contextmanager
def terminal() -> Iterator[Screen]:
    """Have standard error be a terminal; within a test alone, for pytest sets it anew for each part of one."""
    made, before = Screen(), sys.stderr
    with os.fdopen(made.theirs, "w", encoding="utf-8") as sys.stderr:
        try:
            yield made
        finally:
            sys.stderr = before
            os.close(made.ours)


def test_it_says_what_is_done_and_how_far_and_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    done = [0]
    with terminal() as screen:
        with progress.shown("looking for tasks", lambda: f"{done[0]:,} looked at"):
            wait_until(lambda: "looking for tasks … 0 looked at " in screen.read())
            done[0] = 12_000
            wait_until(lambda: "12,000 looked at" in screen.read())
        assert wait_until(lambda: screen.read().endswith("\r\x1b[K"))


def test_what_is_quick_shows_nothing_and_an_error_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(screen: Screen) -> None:
        with progress.shown("reading"):
            wait_until(lambda: "reading …" in screen.read())
            raise ValueError("x")

    with terminal() as screen:
        with progress.shown("reading"):
            pass
        assert screen.read() == ""
        monkeypatch.setattr(progress, "AFTER", 0.01)
        with pytest.raises(ValueError, match="x"):
            fail(screen)
        assert wait_until(lambda: screen.read().endswith("\r\x1b[K"))


@pytest.mark.servers("server")
def test_elsewhere_there_is_nothing(make_queue: Callable[..., HotQueue], store_url: str) -> None:
    queue = make_queue()
    done: Any = run_command("hotqueue", "enqueue", "t", "-Q", queue.name, "--wait", "--timeout", "1.5", "-u", store_url)
    assert (done.returncode, done.stdout) == (1, "")
    missing, ended = done.stderr.splitlines()
    assert missing.startswith("hotqueue: no worker listens on queue")
    assert "has not ended within 1.5 s" in ended
    assert "…" not in done.stderr
    queue.purge()
