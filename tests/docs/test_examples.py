"""The examples run as they are, as real processes, each on a database of its own, and print what they should."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.needs import lacking
from tests.support.processes import ROOT, run_python

EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the examples need the embedded server and workers")


Run = Callable[..., str]


@pytest.fixture
def run(examples: Path, env: dict[str, str]) -> Run:
    """``run("name.py", *args)`` → what it printed."""
    return lambda name, *args: run_python(examples / name, *args, env=env, cwd=examples).stdout


def test_every_example_has_a_test() -> None:
    tested = Path(__file__).read_text()
    others = {"redis-acl.conf", "tasks.py"}  # tests/queue/test_acl.py, test_deploy.py
    others |= {"web_fastapi.py", "web_flask.py", "web_django.py"}  # test_web_examples.py
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
        "13 words in the book",
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
