"""hotqueue upgrade: what it prints and refuses. What follows from an upgrade: tests/crash/test_upgrades.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.store.store import Store
from tests.support import next_version
from tests.support.processes import run_command
from tests.support.servers import RedisServer

pytestmark = pytest.mark.servers("server")
OLD, NEW = keys.SCHEMA, next_version.SCHEMA


@pytest.fixture
def store_url(store_kind: str, start_redis: Callable[..., RedisServer]) -> str:
    """Of a server of the test's own: `--all` takes every queue there up, those of other tests as well."""
    return start_redis().url


@pytest.fixture
def upgrade(store_url: str, next_folder: Path) -> Callable[..., Any]:
    """``upgrade(*args)`` → the command of the next version, at its end."""
    env = next_version.environment(next_folder, {})
    return lambda *args: run_command("hotqueue", "upgrade", "-u", store_url, *args, env=env)


def test_queues_go_up_and_say_so(upgrade: Callable[..., Any], queue_name: str, make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    queue.submit(int, 1)
    done = upgrade(queue_name, "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{queue_name}: schema {OLD} → {NEW}\n", "")
    done = upgrade(queue_name)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{queue_name}: schema {NEW} already\n", "")
    told = json.loads(upgrade(queue_name, "--json").stdout)
    assert told == [{"name": queue_name, "before": NEW, "schema": NEW, "older_workers": 0}]


def test_all_are_those_with_tasks(upgrade: Callable[..., Any], queue_name: str, make_queue: Callable[..., HotQueue]) -> None:
    make_queue().submit(int, 1)
    make_queue(f"{queue_name}-plain").put("message")
    found = {row["name"]: row["before"] for row in json.loads(upgrade("--all", "--yes", "--json").stdout)}
    assert found[queue_name] == OLD
    assert f"{queue_name}-plain" not in found


def test_a_glob_is_all_that_match(
    upgrade: Callable[..., Any], queue_name: str, make_queue: Callable[..., HotQueue], store: Store
) -> None:
    for n in (1, 2):
        make_queue(f"{queue_name}-{n}").submit(int, 1)
    make_queue(f"{queue_name}-plain").put("message")
    done = upgrade(f"{queue_name}-*", f"{queue_name}-1", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"{queue_name}-{n}: schema {OLD} → {NEW}\n" for n in (1, 2))
    glob = f"{queue_name}-x*"
    done = upgrade(glob, "--yes")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert f"hotqueue: no queue matches {glob!r} in " in done.stderr
    assert store.command(glob, "EXISTS", keys.schema(glob, NEW)) == 0


def test_without_a_terminal_it_does_not_go_up_unasked(upgrade: Callable[..., Any], store: Store, queue_name: str) -> None:
    done = upgrade(queue_name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "say --yes" in done.stderr
    assert store.command(queue_name, "EXISTS", keys.schema(queue_name, NEW)) == 0


def test_a_name_without_a_trace_is_told(upgrade: Callable[..., Any], queue_name: str) -> None:
    done = upgrade(queue_name, "--yes")
    assert done.returncode == 0
    assert f"there is no trace of a queue {queue_name!r}" in done.stderr


@pytest.mark.parametrize("args", [(), ("a", "--all"), ("a{b}",), ("a", "--to", "3")])
def test_wrong_usage_is_one_line(upgrade: Callable[..., Any], args: tuple[str, ...]) -> None:
    done = upgrade(*args)
    assert (done.returncode in (1, 2), done.stdout, done.stderr.count("\n")) == (True, "", 1)


def test_an_older_version_says_what_to_do(store: Store, store_url: str, queue_name: str) -> None:
    """It shows the schema of a newer queue, counts what it can, and takes nothing down."""
    store.command(queue_name, "RPUSH", keys.queue(queue_name), "message")
    next_version.upgrade(store, queue_name)
    refused = (
        f"{queue_name!r} has schema {NEW}, and the hotqueue of this program knows schemas up to {OLD}: upgrade hotqueue here"
    )
    for command in (("hotqueue", "upgrade", queue_name, "--yes"), ("hotwatch", queue_name)):
        done = run_command(*command, "-u", store_url)
        assert (done.returncode, done.stdout) == (1, "")
        assert refused in done.stderr
        assert done.stderr.count("\n") == 1
    plain = f"{queue_name}-plain"
    store.command(plain, "RPUSH", keys.queue(plain), "message")
    done = run_command("hotwatch", plain, queue_name, plain, "-u", store_url)  # one that is newer hides none of the others
    assert (done.returncode, done.stdout) == (1, f"{plain}: 1 items\n" * 2)
    assert done.stderr.count("\n") == 1
    assert refused in done.stderr
    lines = run_command("hotqueue", "info", "-u", store_url, check=True).stdout.splitlines()
    assert f"queue     {queue_name}: 1 message, tasks that a newer hotqueue knows, schema {NEW}" in lines
    told = json.loads(run_command("hotqueue", "info", "-u", store_url, "--json", check=True).stdout)
    assert told["schema"] == OLD
    assert {"name": queue_name, "messages": 1, "schema": NEW} in told["queues"]
