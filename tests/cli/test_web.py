"""hotqueue web: says where it is, serves, ends; lets nobody in from elsewhere without a password."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.support import dashboards
from tests.support.processes import run_python


def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    with dashboards.served("--dbfilename", tmp_path / "x.rdb", "--user", "ann:p:w") as (address, process):
        assert httpx.get(f"{address}/queues", headers={"accept": "*/*"}).status_code == 401
        page = httpx.get(f"{address}/queues", auth=("ann", "p:w"))
        assert page.status_code == 200
        assert "server" not in page.headers
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    with dashboards.served("--dbfilename", tmp_path / "x.rdb", env={"HOTQUEUE_WEB_TOKEN": "t"}) as (address, process):
        assert httpx.get(address + "/", headers={"authorization": "Bearer t"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--host", "0.0.0.0"], "would show the dashboard to anybody who reaches this machine: give --token"),
        (["--user", "ann"], "has to be a name and a password"),
        (["--host", "203.0.113.9", "--token", "t"], "cannot be listened to"),
        (["--allow", "retyr", "--port", "0"], "no right 'retyr'; did you mean 'retry'"),
        (["--port", "99999999"], "--port"),
        (["--root-path", "hotqueue", "--port", "0"], "--root-path is a path of an address, such as /hotqueue, not 'hotqueue'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(call: Callable[..., Any], args: list[str], said: str) -> None:
    found = call("web", "-u", "redis://127.0.0.1:1", *args)
    assert found.code != 0
    assert said in found.err
    assert len(found.err.splitlines()) <= 4


def test_without_the_extra_it_says_what_to_install() -> None:
    hide = "import sys; sys.modules['starlette'] = None\n"
    find = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'starlette' else f(n, *a)\n"
    command = "sys.argv[1:] = ['web']; from hotqueue.cli.admin import main; main()"
    done = run_python(hide + find + command, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'hotqueue[web]'" in done.stderr
    done = run_python(f"{hide}import hotqueue.web\ntry: hotqueue.web.app\nexcept ModuleNotFoundError as error: print(error)")
    assert "pip install 'hotqueue[web]'" in done.stdout
