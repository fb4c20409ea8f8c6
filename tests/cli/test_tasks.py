"""hotqueue tasks, show, why: what they print, as JSON and for people; a mistake is one line and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks import current_task
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]
Call = Callable[..., Any]


def test_tasks_lists_them_on_every_server(make_queue: MakeQueue, store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    sent = task_by_name(queue, "shop.price").apply_async((4,), {"x": "ü"})
    later = task_by_name(queue, "shop.later").apply_async((5,), countdown=900)
    where = ("-u", store_url, "-Q", queue.name)
    done = call("tasks", "--json", *where)
    rows = [json.loads(line) for line in done.lines]
    assert [(row["id"], row["state"], row["task"], row["args"]) for row in rows] == [
        (sent.id, "waiting", "shop.price", "4, x='ü'"),
        (later.id, "scheduled", "shop.later", "5"),
    ]
    done = call("tasks", "waiting", *where)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].split() == ["ID", "TASK", "QUEUE", "STATE", "AGE", "ATTEMPTS", "ARGUMENTS", "NOTE"]
    assert done.lines[1].split()[:4] == [sent.id, "shop.price", queue.name, "waiting"]
    assert done.lines[1].endswith("4, x='ü'   ready")
    shown = json.loads(call("show", sent.id, "--json", *where).out)
    assert (shown["task"], shown["args"], shown["state"]) == ("shop.price", "4, x='ü'", "waiting")
    said = call("why", sent.id, *where).out
    assert said.startswith(f"no worker listens on queue '{queue.name}'")
    assert json.loads(call("why", later.id, "--json", *where).out)["reason"] == "eta"
    assert queue.pending() == 2
    queue.purge()


@pytest.mark.servers("server")
def test_lists_say_what_they_leave_out(make_queue: MakeQueue, store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()
    task_by_name(queue, "shop.price").map([f"nr-{n}" for n in range(30)])
    where = ("-u", store_url, "-Q", queue.name)
    done = call("tasks", *where)
    assert len(done.lines) == 21
    assert done.err == "hotqueue: there are more than these 20; --limit N shows more\n"
    assert len(call("tasks", *where, "--limit", 30).lines) == 31
    done = call("tasks", *where, "--match", "nr-29", "--look-at", 10)
    assert (done.out, done.code) == ("", 0)
    assert done.err.startswith("hotqueue: looked at 10 tasks, and stopped there; --look-at N looks at more")
    assert "'nr-29'" in call("tasks", *where, "--match", "NR-29", "--since", "1h", "--task", "shop.price").out
    assert call("tasks", *where, "--older", "1h").err == "hotqueue: there is no such task\n"
    misspelt = call("tasks", *where, "--task", "shop.pric").err
    assert misspelt == "hotqueue: there is no such task; did you mean 'shop.price'?\n"
    assert call("tasks", "dead", *where).err == "hotqueue: there is no task\n"
    queue.purge()


@pytest.mark.servers("server")
def test_show_tells_a_story(make_queue: MakeQueue, store_url: str, call: Callable[..., Any]) -> None:
    queue = make_queue()

    @queue.task(name="shop.fail", retries=1, default_retry_delay=0, retry_backoff=False)
    def fail(n: int) -> None:
        raise ValueError(f"no {n}\x1b[31m")

    sent = fail.delay(4)
    queue.run_worker(burst=True)
    done = call("show", sent.id, "-u", store_url)  # wherever it is
    told = dict(line.split(maxsplit=1) for line in done.lines if line and not line.startswith(" "))
    assert (told["task"], told["queue"], told["state"], told["attempts"]) == ("shop.fail(4)", queue.name, "dead", "2")
    assert told["error"] == r"ValueError: no 4\x1b[31m"
    assert "Traceback (most recent call last):" in done.out
    assert "\x1b" not in done.out
    assert [line.split("UTC")[1].split(":")[0].strip() for line in done.lines if " UTC  " in line] == [
        *("sent", "error", "started", "error", "failure")
    ]
    queue.discard_dead(all=True)
    sent.forget()


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["show", "nobody"], "there is no task 'nobody' in"),
        (["why", "nobody"], "there is no task 'nobody' in"),
        (["tasks", "runing"], "'runing' is not one of 'running'"),
        (["tasks", "--since", "soon"], "'soon' is no time; write 90s, 15m, 2h or 7d (ago)"),
        (["tasks", "--since", "2030-01-31T12:00:00"], "has no time zone; write 2030-01-31T12:00:00+00:00"),
        (["tasks", "-Q", "{name}x"], "did you mean '{name}'?"),
        (["tasks", "--limit", "0"], "'0' is no whole number of at least 1"),
        (["tasks", "-Q", "a{{b"], "may not contain { or }"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    make_queue: MakeQueue, store_url: str, call: Callable[..., Any], args: list[str], says: str
) -> None:
    queue = make_queue()
    sent = task_by_name(queue, "t").delay(1)
    done = call(*(arg.replace("{name}", queue.name) for arg in args), "-u", store_url)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("hotqueue: ")
    assert says.replace("{name}", queue.name) in done.err
    assert done.err.count("\n") == 1
    sent.revoke()


@pytest.mark.parametrize("command", ["info", "tasks", "show x", "why x", "workers", "schedules"])
def test_a_server_that_is_away_is_said_to_be_at_once(call: Callable[..., Any], command: str) -> None:
    done = call(*command.split(), "-u", "redis://127.0.0.1:1/0")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "127.0.0.1:1" in done.err


def logs() -> None:
    for n in range(102):
        current_task.log(f"{n} of them\nare there")


@pytest.mark.servers("server")
def test_show_has_the_lines_that_a_task_logged(make_queue: MakeQueue, store_url: str, call: Call) -> None:
    queue = make_queue()
    task_id = queue.task(name="shop.logs")(logs).delay().id
    queue.run_worker(burst=True)
    done = call("show", task_id, "-u", store_url, "-Q", queue.name)
    assert "log " in done.out
    assert "2 lines before these not kept" in done.out
    assert "101 of them\n" in done.out
    shown = json.loads(call("show", task_id, "-u", store_url, "-Q", queue.name, "--json").out)
    assert (len(shown["log"]), shown["log_dropped"], shown["log"][-1]["text"]) == (100, 2, "101 of them\nare there")
