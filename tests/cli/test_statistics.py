"""hotqueue stats and deploy: what they print, for people and as JSON; ended tasks among the lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hotqueue import HotQueue, keys
from hotqueue.cli.admin import hotqueue
from hotqueue.cli.statistics import seconds

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def run(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("HOTQUEUE_URL", store_url)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(hotqueue, words, prog_name="hotqueue")


def work(n: int) -> int:
    if n == 3:
        raise ValueError("no three")
    return n


def filled(make_queue: MakeQueue) -> HotQueue:
    queue = make_queue()
    task = queue.task(name="shop.work", ignore_result=True)(work)
    for n in range(4):
        task.apply_async((n,), task_id=f"{queue.name}-{n}")
    queue.run_worker(burst=True)
    return queue


def test_what_happened_is_shown(make_queue: MakeQueue, run: Callable[..., Any]) -> None:
    queue = filled(make_queue)
    lines = run("stats", "-Q", queue.name).output.splitlines()
    assert lines[0].split()[:6] == ["TASK", "QUEUE", "ENQUEUED", "STARTED", "SUCCEEDED", "FAILED"]
    assert [line.split()[:6] for line in lines[1:]] == [[name, queue.name, "4", "4", "3", "1"] for name in ("all", "shop.work")]
    every, one = [json.loads(line) for line in run("stats", "-Q", queue.name, "--json").output.splitlines()]
    assert (every["task"], one["task"], every["enqueued"], one["failed"], one["seconds"]) == (None, "shop.work", 4, 1, 3600)
    assert (one["run"]["count"], one["wait"]["count"], one["attempts"]["mean"]) == (4, 4, 1.0)
    spans = run("stats", "-Q", queue.name, "--task", "shop.work", "--spans", "--last", "3", "--json").output.splitlines()
    assert [json.loads(line)["seconds"] for line in spans] == [60, 60, 60]
    assert sum(json.loads(line)["started"] for line in spans) == 4
    nothing = run("stats", "-Q", queue.name, "--task", "shop.other")
    assert (nothing.exit_code, "nothing has happened to a task 'shop.other' in the last 60 minutes" in nothing.stderr) == (
        0,
        True,
    )
    for more in ((), ("--spans",)):
        nothing = run("stats", "-Q", queue.name, "--task", "shop.wrk", "--last", "1", "--json", *more)
        assert (nothing.exit_code, nothing.stdout) == (0, "")
        assert nothing.stderr == (
            "hotqueue: nothing has happened to a task 'shop.wrk' in the last minute; did you mean 'shop.work'?\n"
        )
    queue.discard_dead(all=True)


def test_a_deploy_is_marked(make_queue: MakeQueue, run: Callable[..., Any]) -> None:
    queue = filled(make_queue)
    assert run("stats", "--deploys", "-Q", queue.name).stderr == "hotqueue: no deploy was marked\n"
    assert run("deploy", "v1.2.3", "-Q", queue.name).output == f"v1.2.3: marked in {queue.name}\n"
    assert "v1.2.3" in run("stats", "--deploys", "-Q", queue.name).output
    mark = json.loads(run("stats", "--deploys", "-Q", queue.name, "--json").output)
    assert (mark["queue"], mark["version"], set(mark)) == (queue.name, "v1.2.3", {"queue", "at", "version", "who"})
    for wrong in ("", "a\nb", "x" * 201):
        refused = run("deploy", wrong, "-Q", queue.name)
        assert (refused.exit_code, "VERSION is one line of text" in refused.output) == (2, True)
    queue.discard_dead(all=True)


def test_ended_tasks_are_listed_and_shown(make_queue: MakeQueue, run: Callable[..., Any]) -> None:
    queue = filled(make_queue)
    name = queue.name
    queue.discard_dead(all=True)
    rows = [json.loads(line) for line in run("tasks", "ended", "-Q", name, "--json").output.splitlines()]
    assert [(row["id"], row["outcome"]) for row in rows] == [
        (f"{name}-{n}", "failed" if n == 3 else "succeeded") for n in (3, 2, 1, 0)
    ]
    assert [row["id"] for row in rows if row["run"] is None or row["started"] is None] == []
    assert "failed in" in run("tasks", "ended", "-Q", name, "--match", "three").output
    assert run("tasks", "-Q", name).output.startswith("hotqueue: there is no task")
    shown = json.loads(run("show", f"{name}-1", "-Q", name, "--json").output)
    assert (shown["state"], shown["outcome"], shown["args"], shown["task"]) == ("ended", "SUCCESS", "1", "shop.work")
    assert [event["what"] for event in shown["timeline"]] == ["sent", "started", "success"]
    queue._store.command(name, "DEL", keys.result(name, f"{name}-1"))
    said = json.loads(run("why", f"{name}-1", "-Q", name, "--json").output)
    assert (said["reason"], said["facts"]["state"]) == ("done", "SUCCESS")
    assert said["text"].endswith("; its result is no longer there, or was not kept")
    shown = json.loads(run("show", f"{name}-1", "-Q", name, "--json").output)
    assert (shown["reason"], shown["why"]) == ("done", said["text"])


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0µs"), (3.4e-6, "3.4µs"), (0.9999, "1s"), (0.0123, "12.3ms"), (1.5, "1.5s"), (300, "5m")],
)
def test_a_duration_is_shown_in_a_unit_of_its_size(value: float | None, text: str) -> None:
    assert seconds(value) == text
