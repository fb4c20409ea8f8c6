"""hotqueue doctor prints what it finds, and exits with 1 if there is a problem."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.elsewhere import task_by_name

Call = Callable[..., Any]


@pytest.mark.servers("embedded")
def test_a_problem_is_an_exit_code(make_queue: Callable[..., HotQueue], store_url: str, call: Call) -> None:
    queue = make_queue()
    queue.put("a")
    done = call("doctor", "-u", store_url)
    assert (done.code, done.err) == (0, "")
    assert {line.split()[0] for line in done.lines} == {"ok"}
    task_by_name(queue, "t").delay(1)
    done = call("doctor", "-u", store_url, "--json")
    assert done.code == 1
    assert [row["level"] for row in map(json.loads, done.lines)].count("problem") == 1
    queue.purge()
    queue.clear()


def test_one_that_is_away_is_a_problem(call: Call) -> None:
    done = call("doctor", "-u", "redis://127.0.0.1:1")
    assert done.code == 1
    assert done.lines[-1].startswith("problem  server")


@pytest.mark.servers("embedded")
def test_watch_examines_again_also_where_there_is_a_problem(
    make_queue: Callable[..., HotQueue], store_url: str, call: Call
) -> None:
    queue = make_queue()
    task_by_name(queue, "t").delay(1)
    done = call("doctor", "-u", store_url, "--watch", "--every", "0.1", "--times", 2)
    assert done.code == 0
    assert [line.split()[0] for line in done.lines].count("problem") == 2
    queue.purge()


@pytest.mark.servers("embedded")
def test_a_module_at_the_examined_store_is_well_however_that_was_named(
    make_queue: Callable[..., HotQueue], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    file = Path(str(queue._store.address.path))
    (tmp_path / "doctored_by_file.py").write_text(
        "from hotqueue import HotQueue\n"
        f"queue = HotQueue({queue.name!r}, dbfilename={str(file)!r}, patience=3)\n"
        "@queue.task\ndef price(n): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(file.parent)
    done = call("doctor", "doctored_by_file", "--dbfilename", file.name)
    (line,) = [line for line in done.lines if " module " in line]
    assert line.startswith("ok "), line


@pytest.mark.servers("embedded")
def test_a_module_that_fails_shows_its_traceback_in_lines(
    store_url: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doctored_fails.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    monkeypatch.chdir(tmp_path)
    done = call("doctor", "doctored_fails", "-u", store_url)
    at = next(n for n, line in enumerate(done.lines) if "doctored_fails cannot be imported:" in line)
    assert done.lines[at].startswith("problem  module       doctored_fails cannot")
    assert done.lines[-1] == " " * 22 + "ZeroDivisionError: division by zero"
    assert len(done.lines) - at > 4
