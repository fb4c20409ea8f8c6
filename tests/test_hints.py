"""Hints: the nearest known name, a command as it can be pasted, unknown options, flags that are none."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest

from hotqueue.hints import check_flag, did_you_mean, hinting, shell_command


def test_the_nearest_name_is_meant() -> None:
    assert did_you_mean("tiemout", ["timeout", "block"]) == "; did you mean 'timeout'?"
    assert did_you_mean("tasks", ["tsaks"], before="app.") == "; did you mean 'app.tsaks'?"
    assert did_you_mean("zzz", ["timeout", "block"]) == ""


def test_a_command_is_named_by_its_folder_where_the_shell_would_find_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = tmp_path / "our bin", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
        (folder / "hotqueue").write_text("#!/bin/sh\n")
        (folder / "hotqueue").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(ours / "python"))
    for path, wanted in ((ours, "hotqueue"), (other, str(ours / "hotqueue")), (tmp_path, str(ours / "hotqueue"))):
        monkeypatch.setenv("PATH", str(path))
        assert shlex.split(shell_command("hotqueue", "embedded", "my file.rdb")) == [wanted, "embedded", "my file.rdb"]
    monkeypatch.setattr(sys, "executable", os.devnull)
    assert shell_command("hotqueue", "info") == "hotqueue info"


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    class Thing:
        @hinting
        def get(self, timeout: float = 0) -> float:
            return timeout

        @hinting
        async def aget(self, timeout: float = 0) -> float:
            return timeout

    thing = Thing()
    assert thing.get(timeout=2) == thing.get(2) == asyncio.run(thing.aget(timeout=2)) == 2
    with pytest.raises(TypeError, match=r"get\(\) got an unknown option 'timout'; did you mean 'timeout'\?"):
        thing.get(timout=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"aget\(\) got an unknown option 'qqq'; known are timeout"):
        asyncio.run(thing.aget(qqq=2))  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_a_flag_is_true_or_false(value: object) -> None:
    with pytest.raises(TypeError, match="block= takes True or False, not"):
        check_flag(value, "block=")
    assert (check_flag(True, "block="), check_flag(False, "block=")) == (True, False)
