"""`call`: a command in this process, as its script would run it: quick, where a process of its own would add nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from hotqueue.cli import admin, entry


class Called(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.out.splitlines()


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Called]:
    """``call("tasks", "--json")`` runs `hotqueue tasks --json`."""

    def run(*args: object) -> Called:
        monkeypatch.setattr(sys, "argv", ["hotqueue", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            entry.run(admin.hotqueue, "hotqueue")
        assert isinstance(ended.value.code, int)
        return Called(ended.value.code, *capfd.readouterr())

    return run
