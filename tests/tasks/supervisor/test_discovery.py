"""When a supervisor looks for queues, and which it takes for gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor import discovery
from hotqueue.tasks.supervisor.discovery import Discovery
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class Watching:
    """A Discovery, and what it has said."""

    def __init__(self, queue: HotQueue, *names: str) -> None:
        store = queue._store
        self.found: list[str] = []
        self.gone: list[str] = []
        self.discovery = Discovery(names, store, lambda name: Broker(store, name), self._changed, lambda: None)

    def _changed(self, found: list[Broker], gone: list[Broker]) -> None:
        self.found += [broker.name for broker in found]
        self.gone += [broker.name for broker in gone]

    def turn(self) -> None:
        self.discovery.take_in(*self.discovery.turn())

    def finds(self, *names: str) -> bool:
        self.turn()
        return sorted(self.found) == sorted(names)


def test_it_finds_what_is_there_and_hears_of_what_appears(make_queue: MakeQueue, queue_name: str) -> None:
    known, there = make_queue(f"{queue_name}-known"), make_queue(f"{queue_name}-there")
    for queue in (known, there):
        queue.submit(print)
    watching = Watching(there, f"{queue_name}-*", known.name)
    watching.discovery.leave_out([known.name])
    watching.discovery.look_at_all(5)
    assert watching.found == [there.name]
    fd = watching.discovery.fileno()
    assert fd is not None
    new = make_queue(f"{queue_name}-new")
    new.submit(print)
    wait_until(lambda: watching.finds(there.name, new.name))


def test_another_database_of_the_server_is_none_of_its_business(
    start_redis: Callable[..., RedisServer], make_queue: MakeQueue
) -> None:
    server = start_redis()
    with HotQueue("t-0", url=server.url) as here, HotQueue("t-1", url=server.url.replace("/0", "/1")) as elsewhere:
        watching = Watching(here, "t-*")
        watching.turn()
        elsewhere.submit(print)
        here.submit(print)
        wait_until(lambda: watching.finds("t-0"))
        assert watching.found == ["t-0"]


def test_what_is_gone_is_let_go_of_at_once_and_what_is_idle_after_a_while(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "AT_MOST_EVERY", 0.0)
    deleted, idle, busy = queues = [make_queue(f"{queue_name}-{what}") for what in ("deleted", "idle", "busy")]
    results = [queue.submit(print) for queue in queues]
    watching = Watching(busy, f"{queue_name}-*")
    watching.discovery.look_at_all(5)
    assert len(watching.found) == 3
    client = busy._store.client()
    client.delete(*client.keys(f"{{hotqueue:{deleted.name}}}:*"))
    results[1].revoke()
    watching.turn()
    watching.turn()
    assert watching.gone == [deleted.name]
    monkeypatch.setattr(discovery, "KEPT", 0.0)
    watching.turn()
    assert watching.gone == [deleted.name, idle.name]
    assert list(watching.discovery.queues) == [busy.name]
    idle.submit(print)
    wait_until(lambda: watching.finds(deleted.name, idle.name, busy.name, idle.name))


def test_a_server_that_is_away_is_said_once_and_looked_at_anew_when_it_is_back(
    start_redis: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    with HotQueue("t-0", url=server.url) as queue:
        watching = Watching(queue, "t-*")
        watching.turn()
        server.kill()
        for _ in range(3):
            watching.turn()
        watching.discovery.look_at_all(60)  # does not insist
        assert caplog.text.count("looking for queues: ") == 1
        server.start()
        queue.submit(print)
        wait_until(lambda: watching.finds("t-0"))


def test_one_that_nobody_announced_is_found_by_a_look_at_the_keys(make_queue: MakeQueue, queue_name: str) -> None:
    """As one that was restored from a copy, or whose announcement was lost."""
    watching = Watching(make_queue(), f"{queue_name}-*")
    watching.turn()
    client = make_queue()._store.client()
    client.set(f"{{hotqueue:{queue_name}-copied}}:seq", 7)
    wait_until(lambda: watching.finds(f"{queue_name}-copied"))
    client.delete(f"{{hotqueue:{queue_name}-copied}}:seq")
