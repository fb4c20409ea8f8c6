"""What the worker's log says: fields of JSON lines, the task of a line that a task wrote, and nothing that does not happen.

Of this kind: every line about a task (its success, retry, failure, end, its being parked, stopped, lost) carries its id and,
where it is known, its name and the seconds it took; a line of the user's own, from any logger, in a sync task, a thread's or a
coroutine, says which task wrote it, in text and in JSON, also under a logging set-up of the user's.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import TaskFilter
from hotqueue.tasks.worker import task_log
from tests.support.elsewhere import task_by_name
from tests.support.processes import ROOT, run_python, start_command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("embedded")
MakeQueue = Callable[..., HotQueue]

APP = """
import logging, os
from hotqueue import HotQueue, Ignore, Reject
from hotqueue.tasks import current_task
from tests.support.durations import atake_time, take_time
queue = HotQueue(os.environ["QUEUE"], url=os.environ["STORE"])
log = logging.getLogger("shop.stock")
log.info("imported")

@queue.task
def square(n):
    take_time(0.01)
    log.info("squaring %d", n)
    return n * n

@queue.task
async def asquare(n):
    await atake_time(0.01)
    log.info("squaring %d", n)
    return n * n

@queue.task(retries=1, retry_backoff=False, default_retry_delay=0)
def fail():
    raise OSError("no disk")

@queue.task
def ignored():
    raise Ignore

@queue.task
def rejected():
    raise Reject("no item")

@queue.task(time_limit=0.2)
def stuck():
    take_time(60)

@queue.task
def die():
    os._exit(9)

@queue.task
def nap():
    take_time(60)
"""


class Shop:
    """A worker of APP, and what it said."""

    def __init__(self, folder: Path, queue: HotQueue, url: str) -> None:
        (folder / "shop.py").write_text(APP)
        self.folder, self.queue = folder, queue
        self.env = {"QUEUE": queue.name, "STORE": url}
        self.log = folder / "log"
        self.process: subprocess.Popen[str] | None = None

    def task(self, name: str) -> Any:
        """Return a task as a caller sees it that has none of the code."""
        return task_by_name(self.queue, f"shop.{name}", name == "asquare")

    def start(self, *options: object) -> subprocess.Popen[str]:
        self.end()
        with open(self.log, "w") as stderr:
            self.process = start_command("hotqueue-worker", "shop", *options, cwd=self.folder, env=self.env, stderr=stderr)
        return self.process

    def end(self) -> None:
        """End the worker, should there be one."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=40)

    def burst(self, *options: object) -> str:
        """Run what is there; return what the worker said."""
        assert self.start("-b", "-p", 1, *options).wait(60) == 0
        return self.log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines that were said."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def of(self, result: Any) -> list[dict[str, Any]]:
        """Return the JSON lines of a task."""
        return [line for line in self.lines() if line.get("task_id") == result.id]


@pytest.fixture
def shop(tmp_path: Path, make_queue: MakeQueue, store_url: str) -> Any:
    """A shop; its worker is ended, and its dead thrown away, before keys are looked for."""
    made = Shop(tmp_path, make_queue(), store_url)
    yield made
    made.end()
    made.queue.discard_dead(all=True)


def test_every_json_line_about_a_task_has_its_fields(shop: Shop) -> None:
    good, again, ignored, rejected, late = (shop.task(n).delay() for n in ("square", "fail", "ignored", "rejected", "square"))
    late = shop.task("square").apply_async((1,), expires=0)
    good = shop.task("square").apply_async((4,))
    unknown = shop.task("unheard_of").delay()
    shop.burst("--log-format", "json", "-v")
    done = shop.of(good)[-1]
    assert (done["task"], done["level"], 0 <= done["seconds"] < 5) == ("shop.square", "debug", True)
    retried, failed = [line for line in shop.of(again) if line["level"] != "debug"]
    (trace,) = [line for line in shop.of(again) if "Traceback" in line["message"]]
    assert (trace["attempt"], trace["queue"], trace["seconds"]) == (2, shop.queue.name, failed["seconds"])
    assert (retried["task"], retried["delay"], retried["error"]) == ("shop.fail", 0, "OSError: no disk")
    assert (retried["attempt"], failed["attempt"], failed["queue"]) == (1, 2, shop.queue.name)
    assert (failed["retries"], "seconds" in failed, "no disk" in failed["traceback"]) == (1, True, True)
    assert "as it asked" in shop.of(ignored)[0]["message"]
    assert "no item" in shop.of(rejected)[0]["error"]
    ended = shop.of(late)[0]
    assert ("ended without running" in ended["message"], "seconds" in ended) == (True, False)
    assert shop.of(unknown)[0]["need"] == "task:shop.unheard_of"
    assert all({"task", "task_id"} <= line.keys() for line in shop.lines() if good.id in line["message"])
    unknown.revoke()


def test_the_supervisors_json_lines_about_a_task_have_its_id(shop: Shop) -> None:
    stuck, dead, stopped = (shop.task(name).delay() for name in ("stuck", "die", "nap"))
    shop.start("-p", 3, "--log-format", "json")
    wait_until(lambda: stopped.state == "STARTED")
    assert stopped.revoke(terminate=True) == "running, being stopped"
    assert isinstance(stuck.get(timeout=20, propagate=False), Exception)
    assert isinstance(stopped.get(timeout=20, propagate=False), Exception)
    assert isinstance(dead.get(timeout=20, propagate=False), Exception)
    said = {result: [line["message"] for line in shop.of(result)] for result in (stuck, dead, stopped)}
    assert any("over its time_limit" in text for text in said[stuck])
    assert any("exited with 9" in text for text in said[dead])
    assert any("revoked with terminate=True" in text for text in said[stopped])
    assert not any("without running" in line["message"] for line in shop.of(stopped))


def test_what_a_last_death_leads_to_is_said(shop: Shop) -> None:
    """The first four run again; of the fifth nothing runs again."""
    dead = shop.task("die").delay()
    shop.start("-p", 1, "--log-format", "json", "-v")
    assert isinstance(dead.get(timeout=30, propagate=False), Exception)
    shop.end()
    assert not [line for line in shop.of(dead) if "None" in line["message"]]  # nothing was raised: there is no traceback
    deaths = [line["message"] for line in shop.of(dead) if line["message"].startswith("process ")]
    assert ["again in quarantine" in text for text in deaths] == [True] * 4 + [False]
    assert deaths[-1].endswith(f"it ran {dead.id} for the last time (max_deliveries), which goes to the dead list")


@pytest.mark.parametrize("name", ["square", "asquare"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_users_line_says_which_task_wrote_it(shop: Shop, name: str, threads: int) -> None:
    results = [shop.task(name).delay(n) for n in range(4)]
    said = shop.burst("-t", threads)
    for n, result in enumerate(results):
        assert f" shop.{name}[{result.id}] squaring {n}\n" in said
    assert "  imported\n" not in said
    assert [line for line in said.splitlines() if line.endswith(" imported")] != []
    results = [shop.task(name).delay(n) for n in range(4)]
    shop.burst("-t", threads, "--log-format", "json", "-v")
    for n, result in enumerate(results):
        own = [line for line in shop.of(result) if line["logger"] == "shop.stock"]
        assert [(line["message"], line["task"], line["attempt"]) for line in own] == [(f"squaring {n}", f"shop.{name}", 1)]
        assert own[0]["queue"] == shop.queue.name
        assert 0.01 <= own[0]["seconds"] < 60  # since this run began
        assert own[0]["worker"] == next(line["worker"] for line in shop.of(result) if line["logger"] == "hotqueue.worker")
    assert not any("task_id" in line for line in shop.lines() if line["message"] == "imported")


def test_a_filter_of_the_users_own_logging_says_it_too(shop: Shop) -> None:
    """As docs/operations.md shows it."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE | re.DOTALL)
    (config,) = [block for block in blocks if "dictConfig" in block]
    config = config.replace('"level": "INFO"', '"level": "DEBUG"')
    (shop.folder / "shop.py").write_text(config + APP)
    result = shop.task("square").delay(3)
    said = shop.burst()
    assert f"INFO shop.stock [shop.square {result.id}] squaring 3\n" in said
    assert "INFO shop.stock [ ] imported\n" in said
    assert f"DEBUG hotqueue.worker [shop.square {result.id}] shop.square[{result.id}] succeeded in " in said


def test_a_line_of_the_worker_about_a_task_has_the_same_attributes(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.makeLogRecord({"msg": "x", **task_log.about("7", "shop.a", seconds=0.5, queue="q")})
    assert TaskFilter().filter(record)
    form = logging.Formatter("%(task)s %(task_id)s %(queue)s %(seconds)s [%(attempt)s%(worker)s]")
    assert form.format(record) == "shop.a 7 q 0.5 []"


def test_outside_of_a_task_the_filter_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.makeLogRecord({"msg": "x"})
    assert TaskFilter().filter(record)
    assert (record.task, record.task_id) == ("", "")  # type: ignore[attr-defined]


def test_what_a_users_line_says_itself_is_left_as_it_is(shop: Shop) -> None:
    code = APP.replace('log.info("squaring %d", n)', 'log.info("squaring %d", n, extra={"queue": "of people"})')
    assert code != APP
    (shop.folder / "shop.py").write_text(code)
    result = shop.task("square").delay(1)
    shop.burst("--log-format", "json")
    assert [line["queue"] for line in shop.of(result) if line["logger"] == "shop.stock"] == ["of people"]


def test_a_stop_is_no_error(shop: Shop) -> None:
    worker = shop.start("-p", 1, "--log-format", "json")
    wait_until(lambda: shop.queue.workers())
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(20) == 0
    assert {line["level"] for line in shop.lines()} <= {"info", "warning"}


def test_debug_is_asked_of_our_loggers_alone() -> None:
    code = "import logging; from hotqueue.cli import logs; logs.set_up(%r, 'text'); " + "; ".join(
        f"print(logging.getLogger({name!r}).getEffectiveLevel())"
        for name in ("hotqueue", "hotqueue.worker", "redis", "asyncio", "")
    )
    assert run_python(code % "debug").stdout.split() == ["10", "10", "20", "20", "20"]
    assert run_python(code % "warning").stdout.split() == ["30"] * 5
