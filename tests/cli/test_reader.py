"""Each command under `hotqueue-read` of examples/redis-acl.conf: all that read do, all that change are refused in a sentence.

The kind: every command there is; one that is new has to be put into one of these lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from hotqueue import HotQueue
from hotqueue.cli.admin import hotqueue
from hotqueue.tasks import chain
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.web import pages
from tests.support import dashboards
from tests.support.processes import ROOT, run_command
from tests.support.servers import RedisServer

READING = {
    "info": ["info", "info --json"],
    "tasks": [
        "tasks",
        "tasks --json",
        *(f"tasks {state}" for state in ("running", "waiting", "retrying", "scheduled", "parked", "dead", "ended")),
        "tasks --filter 'task:shop.mail'",
        "tasks --task shop.mial",
        "tasks -Q mail",
    ],
    "show": ["show one", "show one --json", "show step", "show dead -Q mail"],
    "why": ["why one", "why one --json", "why dead", "why later"],
    "workers": ["workers", "workers --json"],
    "schedules": ["schedules", "schedules --json"],
    "stats": [
        *("stats", "stats --json", "stats --spans --per hour"),
        *("stats --task shop.fail", "stats --task shop.fial", "stats --deploys"),
    ],
    "metrics": ["metrics", "metrics mail"],
    "doctor": ["doctor", "doctor --json"],
}
CHANGING = {
    "enqueue": "enqueue shop.fail 1 -Q mail",
    "retry": "retry dead",
    "discard": "discard dead --yes",
    "revoke": "revoke one --yes",
    "purge": "purge mail --yes",
    "pause": "pause mail",
    "resume": "resume mail",
    "deploy": "deploy v2",
    "schedules": "schedules pause nightly",
    "schedules trigger": "schedules trigger nightly",
    "schedules remove": "schedules remove nightly --yes",
    "workers": "workers --stop web-1 --yes",
    "workers quiet": "workers --quiet web-1 --yes",
}
ELSEWHERE = {"demo", "embedded", "web", "upgrade"}  # with a server of its own, at a file, below; nothing to do


@pytest.fixture
def reader(start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of who may only read, at a server with something of everything; it is in $HOTQUEUE_URL."""
    server = start_redis()
    with HotQueue("mail", url=server.url) as queue:
        fail = queue.task(name="shop.fail", retries=0)(lambda n: 1 // n)
        fail.apply_async((0,), task_id="dead")
        fail.apply_async((1,), task_id="good")
        queue.run_worker(burst=True)
        queue.send("shop.mail", (4,), task_id="one")
        queue.send("shop.mail", (5,), task_id="later", countdown=3600)
        chain(fail.si(1), fail.si(2)).apply_async(task_id="step")
        queue.schedule("nightly", "0 3 * * *", "shop.mail")
        queue.pause(key="tenant-7")
        queue.pause(task="shop.none")
        session = Session(Broker(queue._store, "mail"), "host-1-a", "s", ["shop.mail"])
        session.register(600_000, {"host": "host", "pid": "1", "name": "web-1"})
    lines = (ROOT / "examples" / "redis-acl.conf").read_text().splitlines()
    rule = next(line for line in lines if line.startswith("user hotqueue-read "))
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", *rule.split()[1:])
    url = f"redis://hotqueue-read:change-me-read@127.0.0.1:{server.port}"
    monkeypatch.setenv("HOTQUEUE_URL", url)
    return url


def words(line: str) -> list[str]:
    return line.replace("'", "").split()


def test_each_command_is_in_one_of_the_lists() -> None:
    import click

    assert {*READING, *CHANGING, *ELSEWHERE} >= {*hotqueue.list_commands(click.Context(hotqueue))}


@pytest.mark.parametrize("command", READING)
def test_whoever_may_only_read_reads(reader: str, call: Callable[..., Any], command: str) -> None:
    for line in READING[command]:
        done = call(*words(line))
        assert done.code == 0, (line, done)
        refused = [each for each in done.out.splitlines() + done.err.splitlines() if "the user's permissions" in each]
        assert len(refused) == (command == "doctor"), (line, done)  # which says that this user may only read
        assert done.out or "there is no " in done.err or "nothing has happened" in done.err or "no deploy" in done.err, line


def test_whoever_may_only_read_changes_nothing_and_is_told_so(reader: str, call: Callable[..., Any]) -> None:
    for line in CHANGING.values():
        done = call(*words(line))
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), (line, done)
        assert "the user's permissions" in done.err or "this user may" in done.err, (line, done)


def test_plain_lines_and_the_dashboard(reader: str) -> None:
    assert run_command("hotwatch", "--url", reader, check=True).stdout.startswith("mail: ")
    with dashboards.served("--url", reader) as (address, _process):
        paths = [page.path for page in pages.PAGES if "{" not in page.path]
        assert len(paths) >= 8
        for path in [*paths, "/queues/mail", "/tasks?q=state:ended", "/task?queue=mail&id=dead"]:
            answer = httpx.get(f"{address}{path}", headers={"accept": "text/html"}, follow_redirects=True)
            assert answer.status_code < 500, path
            assert "permissions" not in answer.text, path
