"""Streams while their master changes: whoever reads waits it out, in order, and the end comes as if nothing had been.

Of the kind: a replica that Sentinel promotes, which may lack the last items; a slot of a Cluster that moves; a node of it that is
killed, and comes back. In a thread and in asyncio. What is away for longer than a store's patience: the last one here.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import RedisCluster

from hotqueue import StreamGap, keys
from hotqueue.tasks import AsyncResult
from tests.crash.test_failover import move_slot
from tests.crash.workers import Workers
from tests.support.servers import LOSES_NOTHING, Cluster, RedisServer, Sentinel
from tests.support.waiting import holds_for, wait_until


class Readers:
    """One who reads in a thread, and one in asyncio; each checks the order, and keeps which items it never saw."""

    def __init__(self, result: AsyncResult[Any]) -> None:
        self.result = result
        self.streams = [result.stream(), result.astream()]
        self.gaps: list[list[int]] = [[], []]
        self.ends: list[Any] = [None, None]
        asyncs = threading.Thread(target=lambda: asyncio.run(self.aread()), daemon=True)
        self.threads = [threading.Thread(target=self.read, daemon=True), asyncs]
        for thread in self.threads:
            thread.start()

    def read(self) -> None:
        stream, at = self.streams[0], 0
        while self.ends[0] is None:
            try:
                for item in stream:
                    assert item == at
                    at += 1
                self.ends[0] = stream.value
            except StreamGap as gap:
                at = self.lost(0, at, gap)
            except BaseException as error:
                self.ends[0] = error

    async def aread(self) -> None:
        stream, at = self.streams[1], 0
        while self.ends[1] is None:
            try:
                async for item in stream:
                    assert item == at
                    at += 1
                self.ends[1] = stream.value
            except StreamGap as gap:
                at = self.lost(1, at, gap)
            except BaseException as error:
                self.ends[1] = error
        await self.result._handle.client.owner.aclose()

    def lost(self, who: int, at: int, gap: StreamGap) -> int:
        self.gaps[who] += range(at, gap.first)
        return gap.first

    def go_on(self, items: int = 50) -> None:
        """Wait until both have had so many more."""
        for stream in self.streams:
            enough = stream.index + items
            wait_until(lambda stream=stream, enough=enough: stream.index > enough or any(self.ends), 60)
        assert self.ends == [None, None]

    def end(self, workers: Workers) -> int:
        """Have the task end; return how many items it yielded."""
        Path(f"{workers.notes}.go").touch()
        for thread in self.threads:
            thread.join(60)
        count = self.result.get(30)
        assert self.ends == [count, count]
        return int(count)


@pytest.fixture
def start_workers(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """``start_workers(url, client)`` → workers of a queue there; what they said is shown when the test fails."""
    made: list[Workers] = []

    def start(url: str, client: Any) -> Workers:
        made.append(Workers("stream_tasks", f"streams-{secrets.token_hex(4)}", url, tmp_path, client))
        made[-1].start("-p1")
        return made[-1]

    yield start
    for workers in made:
        print(workers.said()[-5000:])


def test_a_replica_that_is_promoted(tmp_path: Path, start_workers: Callable[..., Workers]) -> None:
    servers = Sentinel(tmp_path / "servers", 1)
    workers = start_workers(servers.url, servers.replica.client())
    try:
        readers = Readers(workers.tasks.until_told.delay())
        readers.go_on()
        wait_until(lambda: servers.replica.client().exists(keys.stream(workers.name, readers.result.id)))
        servers.master.kill()
        wait_until(lambda: servers.replica.role() == "master", 60)
        readers.go_on()
        readers.go_on()
        count = readers.end(workers)
        late, lost = workers.queue.result(readers.result.id).stream(timeout=30), 0
        try:
            items = list(late)
        except StreamGap:
            lost, items = late.index, list(late)
        assert items == list(range(lost, count))
    finally:
        workers.stop()
        servers.stop()


def test_a_slot_that_moves(tmp_path: Path, start_workers: Callable[..., Workers]) -> None:
    cluster = Cluster(tmp_path / "cluster")
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    workers = start_workers(cluster.url, client)
    try:
        readers = Readers(workers.tasks.until_told.delay())
        slot = client.keyslot(keys.tasks(workers.name))
        for _ in range(3):
            readers.go_on()
            port = client.get_node_from_key(keys.tasks(workers.name)).port
            at = next(n for n, node in enumerate(cluster.nodes) if node.port == port)
            move_slot(cluster, slot, cluster.nodes[at], cluster.nodes[(at + 1) % 3])
            client.nodes_manager.initialize()
        readers.go_on()
        count = readers.end(workers)
        assert readers.gaps == [[], []]
        assert list(workers.queue.result(readers.result.id).stream(timeout=30)) == list(range(count))
        client.close()
    finally:
        workers.stop()
        cluster.stop()


def test_a_node_that_is_killed_and_comes_back(tmp_path: Path, start_workers: Callable[..., Workers]) -> None:
    cluster = Cluster(tmp_path / "cluster", *LOSES_NOTHING, "--cluster-require-full-coverage", "no")
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    workers = start_workers(cluster.url, client)
    try:
        readers = Readers(workers.tasks.until_told.delay())
        readers.go_on()
        port = client.get_node_from_key(keys.tasks(workers.name)).port
        home = next(node for node in cluster.nodes if node.port == port)
        workers.redis = home.client()
        home.kill()
        home.start()
        readers.go_on()
        readers.end(workers)
        assert readers.gaps == [[], []]
        client.close()
    finally:
        workers.stop()
        cluster.stop()


def test_who_has_begun_to_read_waits_longer_than_any_command(
    start_redis: Callable[..., RedisServer], start_workers: Callable[..., Workers]
) -> None:
    server = start_redis(*LOSES_NOTHING)
    workers = start_workers(server.url, server.client())
    workers.queue._store.patience = 0.5
    try:
        readers = Readers(workers.tasks.until_told.delay())
        readers.go_on()
        server.kill()
        holds_for(lambda: not any(readers.ends), 1.5, "nobody has given up")
        server.start()
        readers.go_on()
        readers.end(workers)
        assert readers.gaps == [[], []]
    finally:
        workers.stop()
