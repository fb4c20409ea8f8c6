"""hotqueue: info, the version, and how mistakes are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, __version__, keys
from hotqueue.store.store import Store
from tests.support.elsewhere import task_by_name
from tests.support.processes import run_command

SERVERS = ("Redis ", "Valkey ")


def test_info_names_the_store_its_server_and_its_queues(store: Store, store_url: str, queue_name: str) -> None:
    store.command(keys.queue(queue_name), "RPUSH", keys.queue(queue_name), "a", "b")
    told = json.loads(run_command("hotqueue", "info", "--url", store_url, "--json", check=True).stdout)
    assert told["hotqueue"] == __version__
    assert told["store"] == str(store)
    assert told["server"].startswith(SERVERS)
    assert {"name": queue_name, "messages": 2, "tasks": 0, "schema": 1} in told["queues"]


@pytest.mark.servers("server")
def test_info_reads_well(store: Store, store_url: str, queue_name: str) -> None:
    store.command(keys.queue(queue_name), "RPUSH", keys.queue(queue_name), "a")
    lines = run_command("hotqueue", "info", "--url", store_url, check=True).stdout.splitlines()
    assert lines[0] == f"hotqueue  {__version__}"
    assert lines[1] == f"store     {store_url}"
    assert f"queue     {queue_name}: 1 message, 0 waiting tasks, schema 1" in lines


def test_info_never_shows_a_password() -> None:
    done = run_command("hotqueue", "info", "--url", "redis://:secret@127.0.0.1:1/0")
    assert done.returncode == 1
    assert "secret" not in done.stderr
    assert "***" in done.stderr


def test_without_a_command_it_shows_the_help() -> None:
    done = run_command("hotqueue", check=True)
    assert "Commands:" in done.stdout
    assert "info" in done.stdout


@pytest.mark.parametrize(("args", "says"), [(["inof"], "info"), (["info", "--jsom"], "--json"), (["info", "x"], "x")])
def test_wrong_usage_is_one_line_and_exit_code_2(args: list[str], says: str) -> None:
    done = run_command("hotqueue", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hotqueue: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("typed", "meant"), [("inof", "info"), ("taskz", "tasks"), ("worker", "workers"), ("stat", "stats")])
def test_a_command_that_is_misspelt_is_told_the_nearest_of_all(typed: str, meant: str) -> None:
    done = run_command("hotqueue", typed)
    assert (done.returncode, done.stderr) == (2, f"hotqueue: there is no command {typed!r}; did you mean {meant!r}?\n")


@pytest.mark.parametrize("command", ["hotqueue", "hotwatch"])
def test_each_command_tells_its_version(command: str) -> None:
    assert run_command(command, "--version", check=True).stdout == f"{command} {__version__}\n"


@pytest.mark.servers("server")
def test_info_says_how_it_is_with_tasks(
    make_queue: Callable[..., HotQueue], store_url: str, call: Callable[..., Any], queue_name: str
) -> None:
    queue = make_queue()
    task_by_name(queue, "t").apply_async((1,), countdown=900)
    task_by_name(queue, "t").delay(1)
    queue.pause(task="t")
    (line,) = [line for line in call("info", "-u", store_url).lines if queue_name in line]
    assert line == f"queue     {queue_name}: 0 messages, 2 waiting tasks, 1 scheduled, t paused, schema 1"
    told = json.loads(call("info", "-u", store_url, "--json").out)["queues"]
    (found,) = [each for each in told if each["name"] == queue_name]
    assert found == {"name": queue_name, "messages": 0, "tasks": 2, "scheduled": 1, "paused_tasks": ["t"], "schema": 1}
    queue.resume(task="t")
    queue.purge()


@pytest.mark.servers("server")
def test_where_the_store_is_may_be_said_before_the_command(store: Store, store_url: str, queue_name: str) -> None:
    store.command(keys.queue(queue_name), "RPUSH", keys.queue(queue_name), "a")
    told = json.loads(run_command("hotqueue", "--url", store_url, "info", "--json", check=True).stdout)
    assert told == json.loads(run_command("hotqueue", "info", "--json", "--url", store_url, check=True).stdout)
    assert run_command("hotqueue", "-u", "redis://127.0.0.1:1", "info", "-u", store_url).returncode == 0  # the nearest one holds
    assert run_command("hotqueue", "-u", "redis://127.0.0.1:1", "info").returncode == 1
