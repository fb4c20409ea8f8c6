"""The doctor finds what is wrong, says what to do, and goes on; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from hotqueue import HotQueue, keys
from hotqueue.monitor import doctor
from hotqueue.monitor.doctor import NOTE, OK, PROBLEM, Finding
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer

MakeQueue = Callable[..., HotQueue]


def found(store: Store, *modules: str) -> list[Finding]:
    return list(doctor.examine(store, modules))


def about(findings: list[Finding], queue: str) -> list[Finding]:
    return [each for each in findings if repr(queue) in each.text]


def test_all_is_well_on_every_server(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("a")
    findings = found(queue._store)
    assert {each.about for each in findings} >= {"versions", "server", "durability", "clock", "permissions", "keys"}
    assert [each.level for each in about(findings, queue.name)] == [OK]
    assert not [each for each in findings if each.about in ("server", "clock", "permissions", "files") and each.level != OK]
    queue.clear()


@pytest.mark.servers("server")
def test_what_is_wrong_with_queues_is_found(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.pause()
    task_by_name(queue, "t").delay(1)
    client, tag = queue._store.client(), f"{{hotqueue:{queue.name}}}:"
    client.set(f"{tag}strange", "x")
    client.hset(keys.held(queue.name, "gone"), "1", "x")
    findings = found(queue._store)
    said = [(each.level, each.text) for each in about(findings, queue.name)]
    assert said == [
        (PROBLEM, f"1 task waits in queue {queue.name!r}, and no worker listens there: start one with hotqueue-worker"),
        (NOTE, f"queue {queue.name!r}: the queue is paused; hotqueue resume {queue.name}"),
    ]
    queue.resume()
    queue.pause(task="shop.mail")
    queue.pause(key="tenant-7")
    name = queue.name
    assert [each.text for each in about(found(queue._store), name)][1:] == [
        f"queue {name!r}: task shop.mail is paused; hotqueue resume {name} --task shop.mail",
        f"queue {name!r}: key tenant-7 is paused; hotqueue resume {name} --key tenant-7",
    ]
    queue.resume(task="shop.mail")
    queue.resume(key="tenant-7")
    of_keys = [each for each in findings if each.about == "keys"]
    assert [each.level for each in of_keys] == [NOTE, PROBLEM]
    client.delete(f"{tag}strange", keys.held(queue.name, "gone"))
    queue.purge()


@pytest.mark.servers("server")
@pytest.mark.servers("embedded")
def test_what_is_to_be_pasted_into_a_shell_is_quoted(make_queue: MakeQueue) -> None:
    queue = make_queue("a <b")
    queue.put("a")
    queue.pause(task="c;d")
    queue.pause(key="e f")
    said = "\n".join(each.text for each in found(queue._store))
    assert "hotqueue resume 'a <b' --task 'c;d'" in said
    assert "hotqueue resume 'a <b' --key 'e f'" in said
    queue.resume(task="c;d")
    queue.resume(key="e f")
    queue.clear()


def test_a_clock_that_differs_is_found(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    queue, now = make_queue(), time.time
    monkeypatch.setattr(doctor.time, "time", lambda: now() + 100)
    (said,) = [each for each in found(queue._store) if each.about == "clock"]
    assert said.level == PROBLEM
    assert said.text.startswith("this machine's clock is 100.")
    assert "ahead of the server's" in said.text


def test_a_server_that_runs_out_of_memory_is_found(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client, closing(Store(resolve(url=server.url))) as store:
        assert [each.level for each in found(store) if each.about == "memory"] == [OK]
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", client.info("memory")["used_memory"] * 3)
        low, evicts = (each for each in found(store) if each.about == "memory")
        assert (low.level, evicts.level) == (OK, NOTE)
        assert "its maxmemory-policy is volatile-lru; set it to noeviction" in evicts.text
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)  # Redis 6.2 counts what comes in as well, and refuses it
        client.set("x", "x" * 1_000_000)
        client.config_set("maxmemory", "1mb")
        (full,) = (each for each in found(store) if each.about == "memory")
        assert full.level == PROBLEM
        assert "a full server takes no task; drain the queues, or raise maxmemory" in full.text


def test_what_takes_no_writes_is_no_matter_of_permissions(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client, closing(Store(resolve(url=server.url))) as store:
        client.replicaof("127.0.0.1", 1)  # where nothing is: it is no master any more
        (said,) = (each for each in found(store) if each.about == "permissions")
        assert said.level == PROBLEM
        assert "a replica takes no writes: name its master in the URL, or the sentinels" in said.text
        client.replicaof("NO", "ONE")
        client.execute_command("ACL SETUSER reader on >secret ~* +@read +info +ping +time +select +scan")
    with closing(Store(resolve(url=server.url.replace("//", "//reader:secret@")))) as store:
        (said,) = (each for each in found(store) if each.about == "permissions")
        assert (said.level, said.text.startswith("this user may only read (")) == (NOTE, True)


@pytest.mark.servers("server")
def test_modules_are_imported_as_by_a_worker(make_queue: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue()
    (tmp_path / "doctored_shop.py").write_text(
        dedent(
            f"""
            from hotqueue import HotQueue
            queue = HotQueue({queue.name!r}, url="redis://elsewhere:1")
            @queue.task
            def price(n): pass
            """
        )
    )
    (tmp_path / "doctored_broken.py").write_text("import no_such_module\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    findings = [each for each in found(queue._store, "doctored_shop", "doctored_broken") if each.about == "module"]
    assert [each.level for each in findings] == [NOTE, PROBLEM]
    assert "defines queue" in findings[0].text
    assert "with doctored_shop.price; that is not" in findings[0].text
    assert "no_such_module" in findings[1].text


def test_a_server_that_is_away_is_a_finding() -> None:
    store = HotQueue("q", url="redis://127.0.0.1:1")._store
    assert [(each.level, each.about) for each in found(store)] == [(OK, "versions"), (PROBLEM, "server")]
