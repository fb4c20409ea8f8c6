"""A worker of many queues of a Cluster hears of each task over two connections a node, whatever happens to these and to nodes.

Of this kind: whatever may leave it deaf. Its connections are cut, a slot moves while nobody asks anything of it, or while tasks
come, a replica takes over, a ring is lost. And: the more queues, the less may be done for each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, HotQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.wire.outgoing import Outgoing
from tests.crash.test_failover import move_slot
from tests.crash.test_many_queues import Start
from tests.crash.test_network import children as children_of
from tests.crash.test_silent_servers import named
from tests.crash.workers import APPS, BANNER
from tests.support.durations import let_pass
from tests.support.servers import LOSES_NOTHING, Cluster, RedisServer
from tests.support.waiting import allowed, wait_until
from tests.tasks.contents import Room
from tests.tasks.two_queues import post

MANY = 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", *LOSES_NOTHING)
    yield made
    made.stop()


@pytest.fixture
def start(start_command: Any, tmp_path: Path, cluster: Cluster) -> Iterator[Start]:
    """``start(count)`` → a worker of so many queues, q-0 and so on, once it is ready and registered everywhere."""
    log = tmp_path / "worker.log"

    def begin(count: int) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
        env = {"STORE": cluster.url, "QUEUE": "q", "COUNT": str(count), "NOTES": str(tmp_path / "notes"), "PYTHONPATH": path}
        with open(log, "w") as file:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            worker: subprocess.Popen[str] = start_command("hotqueue-worker", "twenty_queues", "-p2", env=env, **pipes)
        wait_until(lambda: BANNER in log.read_text(), what="the worker is ready")
        wait_until(lambda: registered(cluster) == count, what="it has registered everywhere")
        return worker

    yield begin
    print(log.read_text()[-3000:])


def registered(cluster: Cluster) -> int:
    return sum(len(list(node.client().scan_iter("*}:workers", count=10_000))) for node in cluster.nodes)


def calls(cluster: Cluster) -> Counter[str]:
    """Return how often each command was carried out, by scripts as well; without those of this test and of the nodes."""
    found: Counter[str] = Counter()
    for node in cluster.nodes:
        for name, stats in node.client().info("commandstats").items():
            found[name.removeprefix("cmdstat_")] += stats["calls"]
    for name in ("info", "ping", "psync", "replconf", "client|list", "config|resetstat"):
        del found[name]
    return found


def sent_in(cluster: Cluster, seconds: float) -> Counter[str]:
    """Return what the nodes are sent in so many seconds."""
    before = calls(cluster)
    let_pass(seconds)  # what is measured is a rate
    return calls(cluster) - before


def listeners(node: RedisServer) -> list[str]:
    return [each["id"] for each in node.client().client_list() if each["cmd"] == "subscribe"]


def round_trip(queue: HotQueue) -> float:
    """Return how many seconds a lone call takes."""
    began = time.monotonic()
    assert named(queue, "quick").delay(1).get(30) == 1
    return time.monotonic() - began


def test_it_has_few_connections_sends_little_and_hears_soon(cluster: Cluster, start: Start) -> None:
    start(MANY)
    let_pass(2)  # what is done at the start
    found = [sent_in(cluster, 2) for _ in range(3)]  # a process of any queue that dies on this machine is looked for at all
    assert min(sent.total() for sent in found) / 2 < 50, found
    assert not any(sent["blpop"] for sent in found)
    assert max(len(node.client().client_list()) for node in cluster.nodes) - 1 <= 18, "of two kinds of workers, in two processes"
    took = []
    for n in range(30):
        with HotQueue(f"q-{n}", url=cluster.url) as queue:
            round_trip(queue)  # from now on it is connected
            took.append(round_trip(queue))
    assert sorted(took)[15] < allowed(0.02)


def test_it_hears_again_after_its_connections_were_cut(cluster: Cluster, start: Start) -> None:
    start(6)
    for node in cluster.nodes:
        wait_until(lambda node=node: len(listeners(node)) >= 3, what="all listen")  # type: ignore[misc]
    for _ in range(2):
        for node in cluster.nodes:
            for number in listeners(node):
                node.client().client_kill_filter(_id=number)
        took = []
        for n in range(6):
            with HotQueue(f"q-{n}", url=cluster.url) as queue:
                took.append(round_trip(queue))
        assert max(took) < allowed(3)


def test_it_hears_though_a_ring_is_lost(cluster: Cluster, start: Start) -> None:
    """Whoever had the token never came: the next sweep rings again."""
    worker = start(6)
    with HotQueue("q-3", url=cluster.url) as queue:
        round_trip(queue)
        bell, children = queue._tasks.broker.bell_key("s"), children_of(worker)
        assert len(children) >= 2
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        result = named(queue, "quick").delay(2)
        assert queue._store.command(bell, "DEL", bell) == 1
        for pid in children:
            os.kill(pid, signal.SIGCONT)
        assert result.get(allowed(4)) == 2


def test_it_follows_a_slot_that_moves_while_nothing_happens_there(cluster: Cluster, start: Start) -> None:
    worker = start(12)
    for n in (0, 5):
        with HotQueue(f"q-{n}", url=cluster.url) as queue:
            round_trip(queue)
            move(cluster, queue)
            let_pass(1)
            assert round_trip(queue) < allowed(5)
            wait_until(lambda queue=queue: round_trip(queue) < allowed(0.5), what="it is heard of at once again")  # type: ignore[misc]
    assert worker.poll() is None


def move(cluster: Cluster, queue: HotQueue) -> None:
    """Move a queue's slot to another master."""
    client = queue._store.client()
    client.nodes_manager.initialize()
    slot = client.keyslot(keys.tasks(queue.name))
    port = client.get_node_from_key(keys.tasks(queue.name)).port
    at = next(n for n, node in enumerate(cluster.nodes) if node.port == port)
    move_slot(cluster, slot, cluster.nodes[at], cluster.nodes[(at + 1) % 3])


class Sender:
    """Sends tasks to a queue without end, each as often as it takes under one id."""

    def __init__(self, queue: HotQueue) -> None:
        self.results: list[Any] = []
        self._task, self._ended = named(queue, "slow"), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            n = len(self.results)
            while True:
                try:
                    self.results.append(self._task.apply_async((n, 0.0), task_id=f"t{n}"))
                    break
                except ConnectionFailed:
                    continue

    def end(self) -> list[Any]:
        self._ended.set()
        self._thread.join(20)
        return self.results


def test_nothing_is_lost_and_nothing_doubled_while_a_slot_moves_under_load(
    cluster: Cluster, start: Start, tmp_path: Path
) -> None:
    """Row 39: a queue goes round all masters, while tasks are sent to it and run; the other queues go on."""
    worker = start(6)
    with HotQueue("q-2", url=cluster.url) as queue, HotQueue("q-4", url=cluster.url) as other:
        sender = Sender(queue)
        for _ in range(3):
            enough = len(sender.results) + 30
            wait_until(lambda enough=enough: len(sender.results) > enough)  # type: ignore[misc]
            move(cluster, queue)
            assert round_trip(other) < allowed(3)
        results = sender.end()
        deadline = time.monotonic() + 30
        assert [result.get(max(0.1, deadline - time.monotonic())) for result in results] == list(range(len(results)))
        noted = Counter(line.split()[1] for line in (tmp_path / "notes").read_text().splitlines())
        assert sorted(map(int, noted)) == list(range(len(results)))
        assert max(noted.values()) == 1
        assert queue._store.command(keys.tasks("q-2"), "HLEN", keys.tasks("q-2")) == 0
    assert worker.poll() is None


@pytest.fixture
def replica(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[RedisServer], RedisServer]]:
    """``replica(master)`` → a replica of it, which has all it has."""
    made: list[RedisServer] = []

    def begin(master: RedisServer) -> RedisServer:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0")
        made.append(RedisServer(tmp_path / "replica", *options))
        client, number = made[-1].client(), master.client().execute_command("CLUSTER", "MYID")
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", master.port)
        wait_until(lambda: _replicates(client, number), what="it knows its master")
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", what="it has all")
        for node in cluster.nodes:  # who is to vote for it
            wait_until(lambda node=node: knows_a_replica(node), what="every node knows it")  # type: ignore[misc]
        # Of nodes that it has not come to know by its master's word before that is killed it never hears again.
        wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), what="it knows every node")
        return made[-1]

    yield begin
    for server in made:
        server.stop()


def knows_a_replica(node: RedisServer) -> bool:
    return b" slave " in node.client().execute_command("CLUSTER", "NODES").replace(b",", b" ")


def _replicates(client: Any, number: bytes) -> bool:
    try:
        return bool(client.execute_command("CLUSTER", "REPLICATE", number.decode()))
    except Exception:
        return False


def test_it_hears_of_tasks_at_a_replica_that_took_over(
    cluster: Cluster, start: Start, replica: Callable[[RedisServer], RedisServer]
) -> None:
    """Rows 23 and 39."""
    worker = start(6)
    with HotQueue("q-1", url=cluster.url) as queue:
        round_trip(queue)
        port = queue._store.client().get_node_from_key(keys.tasks("q-1")).port
        master = next(node for node in cluster.nodes if node.port == port)
        new = replica(master)
        master.kill()
        new.client().execute_command("CLUSTER", "FAILOVER", "TAKEOVER")  # how long they take to elect it is their affair
        wait_until(lambda: new.role() == "master")
        wait_until(lambda: b"cluster_state:ok" in new.client().execute_command("CLUSTER", "INFO"))
        assert round_trip(queue) < allowed(10)
        wait_until(lambda: round_trip(queue) < allowed(0.5), what="it is heard of at once again")
    assert worker.poll() is None


def test_what_a_task_sends_to_a_queue_at_another_node_comes_once(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    """Outboxes and receipts (decision 0050): the two queues are in slots of different nodes."""
    with HotQueue("q-0", url=cluster.url) as queue, HotQueue("q-1", url=cluster.url) as other:
        queue._store.client()
        source, target = Room(queue), Room(other)
        assert queue._store.place_of(queue.key) != queue._store.place_of(other.key)
        definition = definition_of(named(other, "slow"))
        calls = [definition.encode(f"t{n}", (n, 0.0), {}, definition.options, "q-1") for n in range(20)]
        post(source, *(Outgoing("q-1", f"t{n}", "", "", call) for n, call in enumerate(calls)))
        start(6)
        assert [other.result(f"t{n}").get(30) for n in range(20)] == list(range(20))
        wait_until(lambda: source["outbox"] is None, what="all is struck")
        wait_until(lambda: target["received:q-0"] is None, what="receipts are forgotten")
        assert len((tmp_path / "notes").read_text().splitlines()) == 20


def test_a_result_that_is_owned_stays_and_is_let_go_of(cluster: Cluster, start: Start) -> None:
    """Decision 0043, with real workers at a Cluster."""
    start(6)
    with HotQueue("q-5", url=cluster.url) as queue:
        broker, task = Broker(queue._store, queue.name), named(queue, "quick")
        result = task.apply_async((3,), countdown=0.5, result_expires=0)
        owner = task.apply_async((1,), countdown=600)
        assert broker.own(owner.id, [result.id]) == ("T", True)
        assert result.get(30) == 3
        let_pass(2)  # sweeps come by
        assert broker.record(result.id) is not None
        owner.revoke()
        wait_until(lambda: broker.record(result.id) is None, what="it is let go of")
        wait_until(lambda: Room(queue)["owned"] is None, what="nothing is owned")
