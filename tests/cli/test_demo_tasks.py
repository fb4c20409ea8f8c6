"""The tasks of the demo do what it says of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotqueue.cli import demo_tasks as tasks


def test_they_do_what_the_demo_says_of_them(tmp_path: Path) -> None:
    assert tasks.square(4) == (16, os.getpid())
    assert tasks.total([(1, 7), (4, 8), (9, 8)]) == (14, 2)
    assert list(tasks.count_down(1)) == [1]
    began, ended = tasks.polite(0)
    assert began <= ended
    with pytest.raises(OSError, match="down"):
        tasks.flaky(str(tmp_path / "flaky"))


def test_they_have_names_as_in_a_module_of_ones_own() -> None:
    names = {"square", "total", "polite", "count_down", "flaky", "refuse", "slow", "rest"}
    assert set(tasks.queue.tasks) == {f"demo.{name}" for name in names} | {"hotqueue.cli.demo_tasks.tick"}
