"""hotqueue-worker --reload: a change of the source has new processes do the work; a mistake in it, none; nothing is lost."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from hotqueue import HotQueue
from hotqueue.cli import reload
from tests.support.elsewhere import task_by_name
from tests.support.processes import is_gone, run_command
from tests.support.waiting import wait_until

APP = """
import os
from pathlib import Path
from hotqueue import HotQueue
from tests.support.waiting import wait_until
queue = HotQueue(os.environ["QUEUE"])

@queue.task
def version(): return 1

@queue.task
def hold(flag):
    wait_until(Path(flag).exists, 60)
    return version()
"""

needs_watchfiles = pytest.mark.skipif(importlib.util.find_spec("watchfiles") is None, reason="watchfiles is not installed")


def edit(folder: Path, text: str) -> None:
    (folder / "app.new").write_text(text)
    (folder / "app.new").rename(folder / "app.py")


@needs_watchfiles
@pytest.mark.servers("server")
def test_new_code_is_run_and_a_mistake_is_not(
    make_queue: Callable[..., HotQueue], store_url: str, tmp_path: Path, start_command: Callable[..., Any]
) -> None:
    queue = make_queue()
    edit(tmp_path, APP)
    env = {"QUEUE": queue.name, "HOTQUEUE_URL": store_url, "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "log"
    with log.open("w") as stderr:
        worker = start_command("hotqueue-worker", "app", "-p", "1", "--reload", env=env, cwd=tmp_path, stderr=stderr)
    wait_until(lambda: "watching " in log.read_text(), 60)
    version, hold = (task_by_name(queue, f"app.{name}") for name in ("version", "hold"))
    assert version.delay().get(timeout=60) == 1
    held = hold.delay(str(tmp_path / "flag"))
    wait_until(lambda: held.state == "STARTED", 60)
    edit(tmp_path, APP.replace("return 1", "return 2"))
    assert wait_until(lambda: "works in place of process" in log.read_text(), 60)
    assert version.delay().get(timeout=60) == 2
    (tmp_path / "flag").touch()
    assert held.get(timeout=60) == 1  # by the process that began it
    edit(tmp_path, APP.replace("def version()", "def version("))
    wait_until(lambda: "cannot load the modules" in log.read_text(), 60)
    assert version.delay().get(timeout=60) == 2
    assert "app.py changed" in log.read_text()
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    others = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    wait_until(lambda: all(map(is_gone, others)), 60)


def test_what_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere" / "shopwatched").mkdir(parents=True)
    (tmp_path / "elsewhere" / "shopwatched" / "__init__.py").touch()
    (tmp_path / "here" / "tasks_watched.py").touch()
    monkeypatch.chdir(tmp_path / "here")
    for folder in ("here", "elsewhere"):
        monkeypatch.syspath_prepend(tmp_path / folder)
    found = reload.folders_of(["shopwatched.tasks:queue", "tasks_watched", "nosuchmodule", "os"])
    assert {str(tmp_path / "here"), str(tmp_path / "elsewhere" / "shopwatched")} <= set(found)
    assert os.path.dirname(click.__file__) not in reload.folders_of(["click"])  # an installed package does not change


def test_without_watchfiles_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(click.UsageError, match=r"pip install 'hotqueue\[reload\]'"), reload.reloading(True, []):
        pass
    with reload.reloading(False, []):
        pass


def test_it_is_an_option_of_the_worker() -> None:
    assert "--reload" in run_command("hotqueue-worker", "--help", check=True).stdout
