"""The examples run as they are, as real processes, each on a database of its own, and print what they should."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from hotqueue import HotQueue
from tests.support.needs import lacking
from tests.support.processes import ROOT, command_code, environment, run_python

EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the examples need the embedded server and workers")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, in which they may leave files."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a database of this test's own, and with the commands on the PATH."""
    commands = tmp_path / "bin"
    commands.mkdir()
    worker = commands / "hotqueue-worker"
    worker.write_text(f"#!{sys.executable}\n{command_code('hotqueue-worker')}\n")
    worker.chmod(0o755)
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


Run = Callable[..., str]


@pytest.fixture
def run(examples: Path, env: dict[str, str]) -> Run:
    """``run("name.py", *args)`` → what it printed."""
    return lambda name, *args: run_python(examples / name, *args, env=env, cwd=examples).stdout


def test_every_example_has_a_test() -> None:
    tested = Path(__file__).read_text()
    others = {"demo.py", "demo_tasks.py", "redis-acl.conf"}  # `make demo`; tests/queue/test_acl.py
    names = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - others
    assert [name for name in sorted(names) if f'"{name}"' not in tested] == []


def test_streams(run: Run) -> None:
    printed = run("streams.py").splitlines()
    assert printed == ["5", "4", "3", "2", "1", "lift-off", "again, from the third item on: [3, 2, 1]"]


def test_quickstart(run: Run) -> None:
    printed = run("quickstart.py").splitlines()
    assert printed == ["messages: 3", "got: first", "consumed: {'second': 2}", "consumed: 3.0", "nothing left: None"]


def test_worker_decorator(run: Run) -> None:
    head, squares = run("worker_decorator.py").splitlines()
    assert re.fullmatch(r"20 squares, made by [12] of 2 workers:", head)
    assert squares == str([n * n for n in range(20)])


@pytest.mark.parametrize("language", ["redis-cli", "node", "python"])
def test_json_from_another_language(run: Run, language: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if language != "python" and not shutil.which(language, path=path):
        raise lacking(language)
    assert run("json_other_language.py", language) == f"Grace came from Python\nAda came from {language}\n"


def test_several_queues(run: Run) -> None:
    waiting, ended, one = run("several_queues.py").splitlines()
    in_each = [int(number) for number in re.findall(r"\d+", waiting)]
    assert len(in_each) == 8
    assert sum(in_each) == 400
    assert min(in_each) > 20
    assert [ended, one] == ["ended: 400 waiting: 0", "0 saw /page/7"]


def test_by_value(run: Run) -> None:
    assert run("by_value.py") == "[42, (1, 2), 2432902008176640000, 'BY VALUE!']\nPoint 10 20\n"


def test_async_tasks(run: Run) -> None:
    assert run("async_tasks.py") == "hello, user 0 … hello, user 49\n50 greetings\n"


def test_executor(run: Run) -> None:
    assert run("executor.py").splitlines() == [
        "one call: 1024",
        "as they come: {97: True, 98: False, 99: False}",
        "primes from 1000 to 2000: 135",
        "from a loop: 45",
    ]


def test_rates_and_turns(run: Run) -> None:
    assert run("rates_and_turns.py").splitlines() == [
        "exports: 205, of ajax the last is among the first 100: True",
        "calls: 50, never more than 20 in a second: True",
    ]


def test_limits(run: Run) -> None:
    assert run("limits.py").splitlines() == ["exports: 12, of each tenant at most 1 at a time", "mails: 20, at most 3 at a time"]


def test_flow_control(run: Run) -> None:
    assert run("flow_control.py").splitlines() == [
        "prices: [3, 4]",
        "mails wait: paused ['flow_control.mail']",
        "revoked: 1",
        "['mailed ann@example.org', 'mailed cid@example.org']",
        "purged: 1",
    ]


def test_schedules(run: Run) -> None:
    assert run("schedules.py").splitlines() == [
        "the pulse: alive",
        "asked for now: the daily report",
        "*/5 * * * * by hand: clean",
        "[('cleanup', 60, True), ('pulse', 0.5, False), ('report', '0 3 * * *', False), ('weekly report', '0 4 * * 1', False)]",
    ]


def test_backpressure(run: Run) -> None:
    assert run("backpressure.py").splitlines() == [
        "room for 20 calls while no worker runs",
        f"200 more as room came: {sum(n // 2 for n in range(200))} and never more than 20 waited: True",
    ]


def test_unique(run: Run) -> None:
    assert run("unique.py").splitlines() == [
        "the first is there: True",
        "daily digest for user 7",
        "['REVOKED', 'REVOKED', 'SUCCESS'] home: Hello",
        "5 asked, 1 task: sun over Paris",
    ]


def test_resumable(run: Run) -> None:
    assert run("resumable.py").splitlines() == ["run 2 begins with a total of 28", "and ends with 210"]


def test_workflows(run: Run) -> None:
    assert run("workflows.py").splitlines() == [
        "6 words in a line",
        "[6, 4, 3] 3",
        "13 [6, 4, 3]",
        "13 words in all",
        "failed: a text without words",
        "workflows.words failed: ValueError('a text without words')",
        "workflows.words FAILURE",
        "workflows.sentence FAILURE",
        "workflows.note SUCCESS",
    ]


def test_retries(run: Run) -> None:
    printed = run("retries.py").splitlines()
    assert printed[0] == "SUCCESS: 'fetched after 2 failures' after 2 retries"
    assert printed[1] == "SUCCESS: 'ready at try 3' after 2 retries"
    assert re.fullmatch(r"FAILURE: TaskError\(.*\) after 3 retries", printed[2])
    assert printed[3] == "FAILURE: TaskRejected('an order without an address') after 0 retries"
    assert printed[4] == "FAILURE: ZeroDivisionError('division by zero') after 0 retries"
    assert printed[-1] == "thrown away: 3"


def test_systemd_unit(tmp_path: Path, env: dict[str, str]) -> None:
    text = (EXAMPLES / "hotqueue.service").read_text()
    assert "KillMode=mixed" in text
    if not shutil.which("systemd-analyze"):
        raise lacking("systemd-analyze", "systemd")
    unit = tmp_path / "hotqueue.service"
    worker = shutil.which("hotqueue-worker", path=env["PATH"])
    unit.write_text(text.replace("/srv/shop/.venv/bin/hotqueue-worker", str(worker)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")  # an unknown key is only a line of text


@pytest.fixture
def supervisord(examples: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """Supervisord on "supervisord.conf", whose worker imports "tasks.py"."""
    pytest.importorskip("supervisor")
    code = "import sys; from supervisor.supervisord import main; main(['-c', 'supervisord.conf'])"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=examples, env=environment(env), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_supervisord_runs_a_worker_and_starts_it_again(
    supervisord: subprocess.Popen[str], env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", env["XDG_STATE_HOME"])
    monkeypatch.delenv("HOTQUEUE_URL", raising=False)
    assert supervisord.stdout is not None
    try:
        with HotQueue("myqueue") as queue:
            square = queue.task(name="tasks.square")(_square)
            assert square.delay(4).get(timeout=30) == 16
            os.kill(_pid_of_worker(supervisord.stdout), signal.SIGKILL)
            _pid_of_worker(supervisord.stdout)  # another one says that it is there
            assert square.delay(5).get(timeout=30) == 25
        supervisord.terminate()
        assert "stopped: hotqueue (exit status 0)" in supervisord.communicate(timeout=40)[0]
        assert supervisord.returncode == 0
    finally:
        if supervisord.poll() is None:
            supervisord.terminate()
            supervisord.communicate()


def _square(n: int) -> int:
    return n * n


def _pid_of_worker(lines: IO[str]) -> int:
    """Read on until a worker's banner; return its pid."""
    for line in lines:
        if found := re.search(r"^hotqueue .* pid (\d+)", line):
            return int(found[1])
    raise AssertionError("no worker started")
