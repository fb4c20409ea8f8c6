"""How a command ends: a mistake of the user's is one line on standard error, and has its exit code."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
import pytest

from hotqueue.cli import entry
from hotqueue.errors import ConfigError


def ended(raised: BaseException | None, capfd: pytest.CaptureFixture[str], **options: Any) -> tuple[Any, str]:
    """Run a command that raises this; return its exit code and what it printed on standard error."""

    @click.command()
    def command() -> None:
        if raised is not None:
            raise raised

    with pytest.raises(SystemExit) as end:
        entry.run(command, "hotx", **options)
    return end.value.code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (None, 0, ""),
        (ConfigError("a value\nof two  lines"), 1, "hotx: a value of two lines\n"),
        (click.UsageError("name a module"), 2, "hotx: name a module\n"),
        (click.ClickException("no"), 1, "hotx: no\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, ""),
        (SystemExit(4), 4, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_end_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], raised: BaseException | None, code: int, line: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["hotx"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert ended(raised, capfd) == (code, line)


def test_a_command_may_have_another_code_for_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hotx", "--wrong"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    code, line = ended(None, capfd, usage=1)
    assert (code, line.startswith("hotx: No such option")) == (1, True)


def test_a_fault_of_ours_is_no_mistake_of_the_users(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["hotx"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(ZeroDivisionError):
        ended(ZeroDivisionError(), capfd)


@pytest.mark.parametrize(("encoding", "text"), [("ascii", '"\\u00fc"'), ("utf-8", '"ü"')])
def test_json_is_written_as_the_terminal_can_show_it(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert entry.json_text("ü") == text
