"""A snapshot says how a store is; whoever looks in one process shares one a second."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConnectionFailed
from hotqueue.monitor import inventory
from hotqueue.monitor.pace import Pace
from hotqueue.monitor.snapshot import Snapshots, snapshot
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]


def _start_together(threads: list[threading.Thread], shared: Snapshots) -> None:
    """Have all of them ask while somebody reads, and end: that they were started says not that they have begun."""
    with shared._lock:
        for thread in threads:
            thread.start()
        wait_until(lambda: _asking() == len(threads), what="all of them ask")
    for thread in threads:
        thread.join()


def _asking() -> int:
    frames = [frame for frame in sys._current_frames().values() if frame.f_code is Snapshots.get.__code__]
    return sum("asked_at" in frame.f_locals for frame in frames)


def test_it_says_how_a_store_is(make_queue: MakeQueue, queue_name: str) -> None:
    queue, other = make_queue(), make_queue(f"{queue_name}-b")
    task_by_name(queue, "shop.price").delay(1)
    other.put("x")
    now = snapshot(queue._store, [queue.name, other.name])
    assert (now.total("waiting"), now.total("messages"), now.workers, now.refused) == (1, 1, (), ())
    assert now.by_name[queue.name].ready == 1
    assert [warning.queue for warning in now.warnings] == [queue.name]
    queue.purge()
    other.clear()


@pytest.mark.servers("embedded")
def test_many_share_one_until_somebody_changes_something(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.put("x")
    snapshots = Snapshots(queue._store)
    found = []
    threads = [threading.Thread(target=lambda: found.append(snapshots.get())) for _ in range(50)]
    _start_together(threads, snapshots)
    assert len(found) == 50
    assert snapshots.reads < 5
    before = snapshots.reads
    queue.put("y")
    snapshots.outdate()
    assert snapshots.get().total("messages") == 2
    assert snapshots.reads == before + 1
    queue.clear()


@pytest.mark.servers("embedded")
def test_those_are_shown_that_are_named(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(f"{queue_name}-{n}") for n in "ab"]
    for queue in queues:
        queue.put("x")
    names = [queue.name for queue in Snapshots(queues[0]._store, [f"{queue_name}-[a]"]).get().queues]
    assert names == [queues[0].name]
    for queue in queues:
        queue.clear()


@pytest.mark.servers("embedded")
def test_queues_that_appear_are_seen_soon_though_the_first_look_was_slow(make_queue: MakeQueue, queue_name: str) -> None:
    queue, later = make_queue(), make_queue(f"{queue_name}-later")
    queue.put("x")
    snapshots = Snapshots(queue._store)
    queue._store.command(queue.name, "CLIENT", "PAUSE", 1_200, "ALL")  # a server that starts, a machine at work
    assert [each.name for each in snapshots.get().queues] == [queue.name]
    later.put("x")
    wait_until(lambda: later.name in snapshots.get().by_name)
    for each in (queue, later):
        each.clear()


@pytest.mark.servers("embedded")
def test_where_there_are_many_keys_they_are_looked_at_behind_a_snapshot(
    make_queue: MakeQueue, queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, later = make_queue(), make_queue(f"{queue_name}-later")
    queue.put("x")
    snapshots = Snapshots(queue._store)
    snapshots.get()
    monkeypatch.setattr("hotqueue.monitor.snapshot.FEW", 0)
    looked, listed = list[str](), inventory.queue_names

    def list_names(store: Store, *, rest: Pace | None = None) -> list[str]:
        looked.append(threading.current_thread().name)
        assert rest is not None
        return listed(store, rest=rest)

    monkeypatch.setattr(inventory, "queue_names", list_names)
    later.put("x")
    wait_until(lambda: later.name in snapshots.get().by_name)
    assert set(looked) == {"hotqueue-listing"}
    wait_until(lambda: snapshots._listing is None)  # it reads from the store that is closed next
    for each in (queue, later):
        each.clear()


@pytest.mark.servers("embedded")
def test_a_store_that_is_closed_while_its_keys_are_looked_at_breaks_no_thread(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, looks = make_queue(), list[str]()
    queue.put("x")
    snapshots = Snapshots(queue._store)
    snapshots.get()
    monkeypatch.setattr("hotqueue.monitor.snapshot.FEW", 0)

    def closed(_store: Store, *, rest: Pace | None = None) -> list[str]:
        looks.append(threading.current_thread().name)
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(inventory, "queue_names", closed)
    snapshots._list_at = 0.0
    snapshots.outdate()
    assert [each.name for each in snapshots.get().queues] == [queue.name]
    wait_until(lambda: looks and snapshots._listing is None)  # so that it is looked again
    assert looks == ["hotqueue-listing"]
    queue.clear()


@pytest.mark.servers("embedded")
def test_who_waited_for_a_reading_that_failed_waits_for_no_other(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    shared = Snapshots(Store(replace(resolve(url=server.url), patience=0.5)))
    server.kill()
    errors: list[ConnectionFailed] = []

    def look() -> None:
        try:
            shared.get()
        except ConnectionFailed as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(6)]
    _start_together(threads, shared)
    assert len(errors) == 6
    assert len(set(map(id, errors))) == 1  # they share it, as they share what was read


@pytest.mark.servers("embedded")
def test_while_one_looks_whether_a_silent_server_answers_again_nobody_else_waits(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    shared = Snapshots(Store(replace(resolve(url=server.url), patience=0.5)))
    shared.get()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _is_away(shared))
        with shared._lock:  # somebody looks
            found = [_is_away(shared) for _ in range(50)]
        assert found == [True] * 50
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: not _is_away(shared))


def _is_away(shared: Snapshots) -> bool:
    try:
        shared.get()
    except ConnectionFailed:
        return True
    return False
