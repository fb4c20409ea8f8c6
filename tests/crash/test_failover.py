"""Masters that change: replicas promoted by hand and by Sentinel, slots of a Cluster that move; all under load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import RedisCluster

from hotqueue import keys
from tests.crash.rig import ROUNDS, Load, Rig, report, seconds_until
from tests.support.proxy import Proxy
from tests.support.servers import LOSES_NOTHING, MASTER, Cluster, RedisServer, Sentinel
from tests.support.waiting import allowed, wait_until


@pytest.fixture
def start_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """``start_rig(url, client)`` → a rig; the workers' log is shown when the test fails."""
    made: list[Rig] = []

    def start(url: str, client: Any) -> Rig:
        made.append(Rig(tmp_path, url, client))
        return made[-1]

    yield start
    for rig in made:
        rig.stop()
        print(rig.said()[-4000:])


def test_a_master_that_becomes_a_replica(start_redis: Callable[..., RedisServer], start_rig: Callable[..., Rig]) -> None:
    """Row 23: READONLY is a disconnect; behind one address, work goes on at the new master; several swaps under load."""
    one = start_redis("--repl-diskless-sync-delay", "0")
    two = start_redis("--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", str(one.port))
    proxy = Proxy(one.url)
    rig = start_rig(proxy.url, one.client())
    worker = rig.start("-p2")
    took = []
    with Load(rig) as load:
        for _ in range(2 * ROUNDS):
            enough = len(load.results) + 50
            wait_until(lambda enough=enough: len(load.results) > enough)
            wait_until(lambda two=two: two.client().info("replication")["master_link_status"] == "up")
            old, new = one.client(), two.client()
            old.client_pause(10_000, all=False)  # writes wait, as in a planned FAILOVER, until the replica has them all
            at = old.info("replication")["master_repl_offset"]
            wait_until(lambda new=new, at=at: new.info("replication")["slave_repl_offset"] >= at)
            new.replicaof("no", "one")
            old.replicaof("127.0.0.1", two.port)
            old.client_unpause()
            proxy.target = ("127.0.0.1", two.port)
            before = len(load.results)
            took.append(seconds_until(lambda before=before: len(load.results) > before + 5))
            one, two = two, one
            rig.redis = one.client()
    report("master demoted, replica promoted", took)
    load.check_all_done()
    assert max(took) < allowed(4)
    assert worker.poll() is None
    assert rig.counted("succeeded") == rig.counted("enqueued")
    assert "Traceback" not in rig.said()
    rig.stop()
    proxy.close()


def test_sentinel_promotes_a_replica_under_load(tmp_path: Path, start_rig: Callable[..., Rig]) -> None:
    """Row 23: the master is killed; what had reached the replica is done, and work goes on as soon as there is a master."""
    servers = Sentinel(tmp_path / "servers", 1)
    rig = start_rig(servers.url, servers.replica.client())
    try:
        worker = rig.start("-p2")
        with Load(rig) as load:
            wait_until(lambda: load.ended() > 100)
            servers.master.kill()
            promoted = seconds_until(lambda: servers.replica.role() == "master", 20)
            before = load.ended()
            took = seconds_until(lambda: load.ended() > before + 5)
        report(f"Sentinel failover (the promotion itself took {promoted:.1f} s)", [took])
        assert took < allowed(2)
        lost = 0
        for n, result in enumerate(load.results):
            if result.state.name == "UNKNOWN":
                lost += 1
            else:
                assert result.get(30) == n
        check_survived(rig, worker, lost, len(load.results))
    finally:
        rig.stop()
        servers.stop()


def check_survived(rig: Rig, worker: Any, lost: int, sent: int) -> None:
    """A failover may lose what the old master had not passed on: little, and nothing else."""
    print(f"acknowledged by the old master alone: {lost} of {sent}")
    assert lost < 50
    rig.check_nothing_left()
    assert worker.poll() is None
    assert "Traceback" not in rig.said()


def test_an_old_master_that_comes_back_during_the_failover(tmp_path: Path, start_rig: Callable[..., Rig]) -> None:
    """Rows 23 and 24: it is named as the master for a moment still, and takes itself for it for long; nobody believes it."""
    servers = Sentinel(tmp_path / "servers", 3, "--appendonly", "yes")  # a master that comes back empty empties its replica
    rig = start_rig(servers.url, servers.replica.client())
    sentinels = [sentinel.client() for sentinel in servers.sentinels]

    def is_promoting() -> bool:
        return any("failover_in_progress" in sentinel.sentinel_masters()[MASTER]["flags"] for sentinel in sentinels)

    try:
        wait_until(lambda: servers.master.client().info("replication")["slave0"]["state"] == "online")
        worker = rig.start("-p2")
        with Load(rig) as load:
            wait_until(lambda: load.ended() > 100)
            servers.master.kill()
            wait_until(is_promoting)
            servers.master.start()
            wait_until(lambda: servers.replica.role() == "master")
            before = load.ended()
            wait_until(lambda: load.ended() > before + 100)
            # as a sentinel does when it has seen both well for ten seconds; a busy one may be far from that (its TILT mode)
            servers.master.client().replicaof("127.0.0.1", servers.replica.port)
            wait_until(lambda: servers.master.role() == "slave")
            before = load.ended()
            wait_until(lambda: load.ended() > before + 5)
        lost = sum(result.state.name == "UNKNOWN" for result in load.results)
        check_survived(rig, worker, lost, len(load.results))
    finally:
        rig.stop()
        servers.stop()
        print(*(sentinel.log() for sentinel in servers.sentinels), sep="\n")


def move_slot(cluster: Cluster, slot: int, source: RedisServer, target: RedisServer) -> None:
    """Move a slot, key by key, as redis-cli does."""
    old, new = source.client(), target.client()
    ids = {server.port: server.client().execute_command("CLUSTER", "MYID").decode() for server in cluster.nodes}
    new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
    old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
    while found := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
        old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *found)
    for client in (new, old, *(server.client() for server in cluster.nodes)):
        client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])


def test_slots_move_under_load(tmp_path: Path, start_rig: Callable[..., Rig]) -> None:
    """Row 39: MOVED, ASK and TRYAGAIN are followed or waited out; the queue goes round all three masters."""
    cluster = Cluster(tmp_path / "cluster")
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    rig = start_rig(cluster.url, client)
    try:
        worker = rig.start("-p2")
        slot = client.keyslot(keys.tasks(rig.name))
        took = []
        with Load(rig) as load:
            for _ in range(3 * ROUNDS):
                enough = len(load.results) + 30
                wait_until(lambda enough=enough: len(load.results) > enough)
                port = client.get_node_from_key(keys.tasks(rig.name)).port
                at = next(n for n, node in enumerate(cluster.nodes) if node.port == port)
                move_slot(cluster, slot, cluster.nodes[at], cluster.nodes[(at + 1) % 3])
                client.nodes_manager.initialize()
                before = load.ended()
                took.append(seconds_until(lambda before=before: load.ended() > before + 5))
        report("Cluster slot moved", took)
        load.check_all_done()
        assert max(took) < allowed(2)
        assert worker.poll() is None
        assert rig.counted("succeeded") == rig.counted("enqueued") == len(load.results)
        assert "Traceback" not in rig.said()
        client.close()
    finally:
        rig.stop()
        cluster.stop()


def test_a_master_of_a_cluster_restarts(tmp_path: Path, start_rig: Callable[..., Rig]) -> None:
    """Rows 19 and 39: CLUSTERDOWN and a node that is away are waited out; recovery runs on a cluster too."""
    cluster = Cluster(tmp_path / "cluster", *LOSES_NOTHING, "--cluster-require-full-coverage", "no")
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    rig = start_rig(cluster.url, client)
    try:
        worker = rig.start("-p2")
        port = client.get_node_from_key(keys.tasks(rig.name)).port
        home = next(node for node in cluster.nodes if node.port == port)
        rig.redis = home.client()
        with Load(rig) as load:
            wait_until(lambda: load.ended() > 50)
            home.kill()
            home.start()
            wait_until(lambda: b"cluster_state:ok" in home.client().execute_command("CLUSTER", "INFO"))
            before = load.ended()
            took = seconds_until(lambda: load.ended() > before + 5)
        report("Cluster master kill -9", [took])
        load.check_all_done()
        assert took < allowed(2)
        assert worker.poll() is None
        client.close()
    finally:
        rig.stop()
        cluster.stop()
