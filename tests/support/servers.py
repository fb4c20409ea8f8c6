"""Real Redis servers for the tests: stand-alone, Sentinel, Cluster; each on free loopback ports in a private folder.

Every server is a child of the test process, dies with it (Linux) and is ended by its pid. The binary is
$HOTQUEUE_TEST_SERVER, else the system's redis-server or valkey-server, else the one that the embedded package brings.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from hotqueue.embedded import binaries as embedded_binary
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from tests.support.waiting import wait_until, within

KINDS = ("embedded", "server", "sentinel", "cluster")
MASTER = "mymaster"
SLOTS = 16384
# For a server that is killed and has to have all that it acknowledged. Under "everysec" Redis holds a write back for up to two
# seconds while an earlier one is still on its way to a slow disk, and a kill -9 loses it; what is written outlives the process.
LOSES_NOTHING = ("--appendonly", "yes", "--appendfsync", "no")

T = TypeVar("T", bound="RedisServer")

# Replaces itself by the server after asking the kernel to end it when the test process dies.
LEASH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class NoServer(Exception):
    """There is no server binary on this machine."""


def binary() -> str:
    """Return the path of the server binary to test against."""
    for path in binaries():
        return path
    raise NoServer("a server: redis-server or valkey-server")


def binaries() -> list[str]:
    """Return the servers that are here, the one to test against first."""
    return [path for path in (os.environ.get("HOTQUEUE_TEST_SERVER"), system(), *embedded_binary.brought()) if path]


def system() -> str | None:
    """Return the server on the PATH, which the embedded package may have put into the virtual environment as well."""
    ours = Path(sys.prefix) / "bin"
    path = os.pathsep.join(p for p in os.get_exec_path() if Path(p) != ours)
    return shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path)


def free_port() -> int:
    """Return a port that is free now, and so is the one 10,000 above it (a cluster's bus).

    Below the range from which the kernel takes the ports of outgoing connections.
    """
    while True:
        port = random.randint(10_000, 22_000)
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class RedisServer:
    """One server process, started at once; `stop()` ends it.

    Args:
        folder: its working folder, made if missing.
        options: further arguments, such as ``"--requirepass", "x"``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        folder.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def start(self) -> None:
        """Start the server, on the port it had before or on a free one, and wait until it answers."""
        for _ in range(5):
            port = self.port or free_port()
            self._process = subprocess.Popen([sys.executable, "-SE", "-c", LEASH, *self._command(port)], cwd=self.folder)
            self._port_asked = port
            wait_until(lambda: self._process.poll() is not None or self._answers(), what=f"the server on port {port} answers")
            if self._process.poll() is None:
                self.port = port
                return
        raise AssertionError(f"the server does not start: {self.log()}")

    def _command(self, port: int) -> list[str]:
        usual = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "server.log"]
        return [binary(), *usual, "--save", "", "--appendonly", "no", "--daemonize", "no", *self.options]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port_asked), timeout=2) as link:
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def client(self, **options: Any) -> Any:
        """Return a new redis-py client of this server."""
        import redis

        return redis.Redis(port=self.port, **options)

    def role(self) -> str:
        """Return what the server takes itself for; "" when it does not say, as while Sentinel changes that."""
        import redis

        try:
            with self.client() as client:
                return str(client.info("replication")["role"])
        except redis.ConnectionError:
            return ""

    def log(self) -> str:
        """Return what the server wrote to its log."""
        path = self.folder / "server.log"
        return path.read_text() if path.exists() else "(no log)"

    def kill(self) -> None:
        """End the server as a crash would."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stop the server without ending it: it keeps its connections and answers nothing.

        What it has carried out it answers first: a result may be there before the worker hears that it is stored.
        """
        self._answers()
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        if self._process.poll() is None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


def _running(started: ExitStack, server: T) -> T:
    started.callback(server.stop)
    return server


class Sentinel:
    """A master, a replica, and the sentinels that watch them."""

    def __init__(self, folder: Path, sentinels: int = 1, *options: str) -> None:
        with ExitStack() as started:  # what runs already is ended if the rest does not come up
            self.master = _running(started, RedisServer(folder / "master", "--repl-diskless-sync-delay", "0", *options))
            follow = ("--replicaof", "127.0.0.1", str(self.master.port))
            self.replica = _running(started, RedisServer(folder / "replica", *follow, *options))
            self.sentinels = [
                _running(started, _SentinelProcess(folder / f"sentinel{n}", self.master.port, sentinels))
                for n in range(sentinels)
            ]
            self._wait()
            started.pop_all()

    def _wait(self) -> None:
        for sentinel in self.sentinels:
            wait_until(lambda s=sentinel: self._is_seen_by(s), what="the sentinel sees master, replica and other sentinels")

    def _is_seen_by(self, sentinel: RedisServer) -> bool:
        with sentinel.client(decode_responses=True) as client:
            told = client.execute_command("SENTINEL", "MASTER", MASTER)
        state = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))  # redis-py 8 parses it
        seen = state["flags"], int(state["num-slaves"]), int(state["num-other-sentinels"])
        return seen == ("master", 1, len(self.sentinels) - 1)

    @property
    def url(self) -> str:
        """The URL that names the master through its sentinels."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{s.port}' for s in self.sentinels)}/{MASTER}/0"

    def stop(self) -> None:
        """End all of it."""
        for server in (*self.sentinels, self.replica, self.master):
            server.stop()


class _SentinelProcess(RedisServer):
    def __init__(self, folder: Path, master: int, sentinels: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sentinel.conf").write_text(
            f"sentinel monitor {MASTER} 127.0.0.1 {master} {sentinels // 2 + 1}\n"
            f"sentinel down-after-milliseconds {MASTER} 1000\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )
        super().__init__(folder)

    def _command(self, port: int) -> list[str]:
        usual = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "server.log"]
        return [binary(), str(self.folder / "sentinel.conf"), "--sentinel", *usual]


class Cluster:
    """Three masters that share the slots; no replicas."""

    def __init__(self, folder: Path, *options: str) -> None:
        usual = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options)
        with ExitStack() as started:  # as in Sentinel
            self.nodes = [_running(started, RedisServer(folder / f"node{n}", *usual)) for n in range(3)]
            self._join()
            started.pop_all()

    def _join(self) -> None:
        bounds = [SLOTS * n // len(self.nodes) for n in range(len(self.nodes) + 1)]
        clients = [node.client() for node in self.nodes]
        for n, (client, (low, high)) in enumerate(zip(clients, itertools.pairwise(bounds), strict=True)):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
            client.execute_command("CLUSTER ADDSLOTS", *range(low, high))
        wait_until(lambda: self._meet(clients), what="every node of the cluster sees it whole")
        for client in clients:
            client.close()

    def _meet(self, clients: list[Any]) -> bool:
        """Tell the nodes of each other; they forget it when they have not met in two seconds, as on a machine at work."""
        for n, client in enumerate(clients):
            for other in self.nodes[:n]:
                client.execute_command("CLUSTER MEET", "127.0.0.1", other.port)
        return within(lambda: all(_is_whole(client, len(self.nodes)) for client in clients), 4)

    @property
    def url(self) -> str:
        """The URL that names the cluster by its nodes."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{n.port}' for n in self.nodes)}"

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()


def _is_whole(client: Any, nodes: int) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == nodes)


class Servers:
    """The servers of one test process, each kind started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, RedisServer | Sentinel | Cluster] = {}
        self._stores: dict[str, Store] = {}

    def url(self, kind: str) -> str:
        """Return the URL of the running server of a kind."""
        return self.running(kind).url

    def running(self, kind: str) -> RedisServer | Sentinel | Cluster:
        """Return the running server of a kind (not of "embedded": that one starts by itself)."""
        if kind not in self._running:
            makers = {"server": RedisServer, "sentinel": Sentinel, "cluster": Cluster}
            self._running[kind] = makers[kind](self._folder / kind)
        return self._running[kind]

    def store(self, kind: str) -> Store:
        """Return a store on the running server of a kind, for looking at keys between tests."""
        if kind not in self._stores:
            self._stores[kind] = Store(resolve(url=self.url(kind)))
        return self._stores[kind]

    def stop(self) -> None:
        """End every server that was started."""
        for store in self._stores.values():
            store.close()
        for server in self._running.values():
            server.stop()
