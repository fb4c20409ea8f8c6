"""What happened in many queues is told together, and kept for a moment for all who ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConnectionFailed
from hotqueue.monitor.history import FEW, KEPT, History
from hotqueue.monitor.statistics import Series
from hotqueue.monitor.sums import Sums
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until


def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.mark.servers("embedded")
def test_an_answer_is_kept_for_all_who_ask_within_a_moment(make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue()
    history = History(queue._store)
    found = []
    threads = [threading.Thread(target=lambda: found.append(history.series(queue.name, "", 60, 60))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(each is found[0] for each in found)
    assert len(found[0].spans) == 60


@pytest.mark.servers("embedded")
def test_not_every_answer_is_kept(make_queue: Callable[..., HotQueue]) -> None:
    history = History(make_queue()._store)
    for n in range(KEPT + 50):
        history.oldest([f"none-{n}"])
    assert len(history._kept) == KEPT


class Held:
    """What happened in many queues, whose first read goes on when `may_go_on` is set.

    Args:
        is_long: it says at once that it will take long.
    """

    def __init__(self, queue: HotQueue, monkeypatch: pytest.MonkeyPatch, is_long: bool = False) -> None:
        self.may_go_on = threading.Event()
        self._history = History(queue._store)
        self._names = [queue.name, *(f"{queue.name}-{n}" for n in range(FEW))]
        task_by_name(queue, "t").delay(1)
        read = Sums.read

        def held(sums: Sums, queues: list[str], rest: Callable[[], None], say_long: Callable[[], None]) -> Series:
            if is_long:
                say_long()
            self.may_go_on.wait(60)
            return read(sums, queues, rest, say_long)

        monkeypatch.setattr(Sums, "read", held)

    def read(self) -> Series | None:
        """Return what there is to show by now."""
        return self._history.overall(self._names, 3600, 24)


def test_what_happened_in_many_queues_is_waited_for_by_nobody_for_long(
    make_queue: Callable[..., HotQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    held = Held(queue, monkeypatch)
    assert held.read() is None
    assert held.read() is None
    held.may_go_on.set()
    wait_until(lambda: held.read() is not None)
    found = held.read()
    assert found is not None
    assert found.total.counts["enqueued"] == 1
    assert held.read() is found  # all share it
    queue.purge()


@pytest.mark.servers("embedded")
def test_what_is_more_than_anybody_should_wait_for_is_not_waited_for(
    make_queue: Callable[..., HotQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    held = Held(queue, monkeypatch, is_long=True)
    monkeypatch.setattr("hotqueue.monitor.history.WAIT", 60.0)
    assert held.read() is None  # else it would go on when there is something to show
    assert not held.may_go_on.is_set()
    held.may_go_on.set()
    wait_until(lambda: held.read() is not None)
    queue.purge()


@pytest.mark.servers("embedded")
def test_whatever_fails_is_told_to_who_waits_and_breaks_no_thread(
    make_queue: Callable[..., HotQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = History(make_queue()._store)

    def closed(*_: Any) -> Series:
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(Sums, "read", closed)
    monkeypatch.setattr("hotqueue.monitor.history.WAIT", 60.0)
    with pytest.raises(ValueError, match="closed file"):
        shared.overall([f"q-{n}" for n in range(FEW + 1)], 3600, 24)


@pytest.mark.servers("embedded")
def test_an_outage_is_told_to_who_waits_for_many_queues(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    shared = History(Store(replace(resolve(url=server.url), patience=0.0)))
    server.kill()

    def is_told() -> bool:
        try:
            shared.overall([f"q-{n}" for n in range(FEW + 1)], 3600, 24)
        except ConnectionFailed:
            return True
        return False

    wait_until(is_told)
