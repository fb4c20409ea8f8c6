"""Who is master, by the word of all sentinels: an old master that still believes in itself gets nothing any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from hotqueue import ConnectionFailed, HotQueue
from tests.support.servers import MASTER, RedisServer, Sentinel
from tests.support.waiting import allowed, wait_until

START = Callable[..., Sentinel]


@pytest.fixture
def start_sentinel(tmp_path: Path) -> Iterator[START]:
    """``start_sentinel(sentinels)`` → a set of this test's own, to do harm to."""
    started: list[Sentinel] = []

    def start(sentinels: int) -> Sentinel:
        started.append(Sentinel(tmp_path / "servers", sentinels))
        with started[-1].master.client() as client:
            wait_until(lambda: client.info("replication")["slave0"]["state"] == "online")
        return started[-1]

    yield start
    for servers in started:
        servers.replica.resume()
        servers.stop()


def named(servers: Sentinel) -> set[int]:
    """Return the ports that the sentinels name."""
    found = set()
    for sentinel in servers.sentinels:
        with sentinel.client() as client:
            found.add(int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1]))
    return found


def flags(servers: Sentinel) -> set[str]:
    with servers.sentinels[0].client() as client:
        said = client.sentinel_masters()[MASTER]["flags"]
    return set(said.split(",")) if isinstance(said, str) else set(said)


def held(server: RedisServer, key: str) -> list[bytes]:
    with server.client() as client:
        return list(client.lrange(key, 0, -1))


def change_master(servers: Sentinel) -> None:
    """Have the replica promoted; the old master comes back and takes itself for the master still."""
    servers.master.pause()
    wait_until(lambda: named(servers) == {servers.replica.port})
    servers.master.resume()


def test_what_is_put_on_an_idle_connection_goes_to_the_new_master(start_sentinel: START) -> None:
    servers = start_sentinel(3)
    with HotQueue("q", url=servers.url, serializer=None) as queue:
        queue.put("before")
        change_master(servers)
        with servers.master.client() as client:
            assert client.info("replication")["role"] == "master"
        queue.put("after")
        assert held(servers.replica, queue.key) == [b"before", b"after"]


def test_so_does_what_a_process_that_forks_puts_without_a_thread_to_look(start_sentinel: START) -> None:
    servers = start_sentinel(3)
    with HotQueue("q", url=servers.url, serializer=None) as queue:
        queue._store.starts_threads = False
        queue.put("before")
        change_master(servers)
        queue.put("after")
        assert held(servers.replica, queue.key) == [b"before", b"after"]
        assert not [thread for thread in threading.enumerate() if thread.name == "hotqueue-sentinels"]


async def _aput(url: str, between: Callable[[], None]) -> str:
    async with HotQueue("q", url=url, serializer=None) as queue:
        await queue.aput("before")
        await asyncio.to_thread(between)
        await queue.aput("after")
        return queue.key


def test_so_does_what_is_put_by_asyncio(start_sentinel: START) -> None:
    servers = start_sentinel(3)
    key = asyncio.run(_aput(servers.url, lambda: change_master(servers)))
    assert held(servers.replica, key) == [b"before", b"after"]


def _fails_over(client: Any) -> bool:
    try:
        return bool(client.execute_command("SENTINEL", "FAILOVER", MASTER))
    except ResponseError:  # it has not seen the replica well yet
        return False


def test_so_does_what_is_put_without_a_pause(start_sentinel: START) -> None:
    """A busy client looks twice a second, beside its work: what it can lose is what it sent since its last look."""
    servers = start_sentinel(1)
    times: list[float] = []
    with HotQueue("q", url=servers.url, serializer=None) as queue:
        queue.put("before")
        with servers.sentinels[0].client() as client:
            wait_until(lambda: _fails_over(client))
        changed = 0.0
        while not changed or time.monotonic() - changed < 3:
            try:
                queue.put(str(len(times)))
                times.append(time.monotonic())
            except ConnectionFailed as error:  # an old master that is demoted closes its connections
                assert not error.sent or "losed" in str(error) or "reset" in str(error), error  # noqa: PT017
            if not changed and named(servers) == {servers.replica.port}:
                changed = time.monotonic()
        found = set(held(servers.replica, queue.key))
        lost = [at for n, at in enumerate(times) if str(n).encode() not in found]
        print(f"lost {len(lost)} of {len(times)}, over {lost[-1] - lost[0] if lost else 0.0:.2f} s")
        assert not lost or lost[-1] - lost[0] < allowed(1.5), "it stayed at the old master"


def test_no_master_is_the_right_one_while_another_is_being_promoted(start_sentinel: START) -> None:
    """The old one, started again just then, is named by the sentinels still; what it takes will be thrown away."""
    servers = start_sentinel(1)
    with HotQueue("q", url=servers.url, serializer=None) as queue:
        servers.master.kill()
        wait_until(lambda: "failover_in_progress" in flags(servers))
        servers.replica.pause()
        servers.master.start()
        wait_until(lambda: flags(servers) == {"master", "failover_in_progress"})
        assert named(servers) == {servers.master.port}
        with pytest.raises(ConnectionFailed, match="promoted") as raised:
            queue._store.command(queue.key, "RPUSH", queue.key, "x")
        assert not raised.value.sent
        servers.replica.resume()
        wait_until(lambda: named(servers) == {servers.replica.port})
        queue.put("y")
        assert held(servers.replica, queue.key) == [b"y"]


def test_clients_go_on_without_sentinels_as_long_as_the_master_is_there(start_sentinel: START) -> None:
    servers = start_sentinel(1)
    with HotQueue("q", url=servers.url, serializer=None) as queue:
        queue.put("first")
        servers.sentinels[0].stop()
        until, slowest = time.monotonic() + 3, 0.0
        while (began := time.monotonic()) < until:
            queue.put("more")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < allowed(1)
        servers.sentinels[0].start()


def test_asking_costs_no_more_than_a_look_at_the_clock(start_sentinel: START) -> None:
    servers = start_sentinel(1)

    def asked() -> int:
        with servers.sentinels[0].client() as client:
            told: dict[str, Any] = client.info("commandstats")
        return int(told.get("cmdstat_sentinel|masters", told.get("cmdstat_sentinel", {"calls": 0}))["calls"])

    with HotQueue("q", url=servers.url, serializer=None) as queue:
        queue.put("first")
        before, began = asked(), time.monotonic()
        for _ in range(2000):
            queue.put("more")
        assert asked() - before <= 4 + 2 * (time.monotonic() - began)


# --- min-replicas-to-write ---------------------------------------------------------------------------------------------


def test_a_master_without_its_replicas_takes_nothing_and_says_so(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0")
    with HotQueue("q", url=server.url) as queue:
        task = queue.task(_nothing)
        for send in (lambda: queue.put(1), lambda: task.delay(), lambda: asyncio.run(_put_and_leave(server.url))):
            began = time.monotonic()
            with pytest.raises(ConnectionFailed, match=r"too few replicas .*min-replicas-to-write.*nothing was stored") as raised:
                send()
            assert not raised.value.sent
            assert time.monotonic() - began < allowed(9)
        start_redis("--replicaof", "127.0.0.1", str(server.port))
        wait_until(lambda: server.client().info("replication")["connected_slaves"] == 1)
        queue.put(1)
        assert task.delay()
        assert (len(queue), queue.pending()) == (1, 1)


def _nothing() -> None: ...


async def _put_and_leave(url: str) -> None:
    async with HotQueue("q", url=url) as queue:
        await queue.aput(1)
