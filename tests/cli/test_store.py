"""The store that a command's options name; without any, $HOTQUEUE_URL, and else [tool.hotqueue]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from hotqueue.cli.store import from_settings, opened


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pyproject.toml of the project in whose folder we are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOTQUEUE_URL", raising=False)
    return tmp_path / "pyproject.toml"


def name_of(**options: Any) -> str:
    """Return where a command with these options goes; nothing is connected."""
    with opened(**options) as store:
        return str(store)


def test_options_name_a_store() -> None:
    assert "h:6380/2" in name_of(host="h", port=6380, db=2)
    assert "h:6379/1" in name_of(url="redis://h/1")


def test_options_are_stronger_than_the_variable_and_that_than_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_text('[tool.hotqueue]\nurl = "redis://of-the-project"\n')
    assert "of-the-project" in name_of()
    monkeypatch.setenv("HOTQUEUE_URL", "redis://of-the-variable")
    assert "of-the-variable" in name_of()
    assert "of-the-option" in name_of(host="of-the-option")
    assert from_settings() is None


def test_a_wrong_store_is_refused_with_where_it_is_named(project: Path) -> None:
    project.write_text('[tool.hotqueue]\nurl = "http://h"\n')
    with pytest.raises(click.UsageError, match=r"\[tool.hotqueue\] in pyproject.toml: "):
        name_of()
    with pytest.raises(click.UsageError):
        name_of(url="redis://h", dbfilename="x.rdb")


def test_a_database_in_memory_is_of_one_process_alone() -> None:
    with pytest.raises(click.UsageError, match="a :memory: database is seen by the process that made it alone; name a file"):
        name_of(dbfilename=":memory:")
