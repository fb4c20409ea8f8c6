"""Workers of a module whose queue has a client of the user's: it is served by the settings of that client.

Of this kind: each kind of client (a server's, by socket or by TCP, Sentinel's, a Cluster's), with what may be set in it; and what
cannot leave its process, which is refused in one line. Over TLS: tests/queue/test_tls.py.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.credentials import UsernamePasswordCredentialProvider

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks.supervisor.served_queues import Queues
from tests.support.elsewhere import task_by_name
from tests.support.processes import start_command
from tests.support.servers import MASTER, RedisServer
from tests.support.waiting import allowed, wait_until

APP = """
import os, redis, redis.asyncio
from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider
from redis.sentinel import Sentinel
from hotqueue import HotQueue
from hotqueue.tasks import current_task

class Own(redis.Connection): ...

class Secret(CredentialProvider):
    def get_credentials(self):
        return ("default", "")

client = {client}
queue = HotQueue(os.environ["QUEUE"], redis=client)

@queue.task
def double(n):
    return 2 * n, client.ping(), triple.delay(n).id

@queue.task
def triple(n):
    return 3 * n

@queue.task
async def quadruple(n):
    return 4 * n

@queue.task
def die_once(n):
    if current_task.request.deliveries == 1:
        os._exit(1)
    return n
"""


class Served:
    """A module with a client, the worker of it, and the queue as a program sees it that imports the same."""

    def __init__(self, folder: Path, queue: HotQueue) -> None:
        self.folder, self.queue, self.env = folder, queue, {"QUEUE": queue.name}
        self.log = folder / "log"
        self.seen = ""  # of its processes, last

    def write(self, client: str) -> None:
        (self.folder / "app.py").write_text(APP.replace("{client}", client))

    def task(self, name: str) -> Any:
        return task_by_name(self.queue, f"app.{name}", name == "quadruple")

    def start(self, *options: object) -> Any:
        with open(self.log, "w") as stderr:
            return start_command("hotqueue-worker", "app", "-p", 2, *options, cwd=self.folder, env=self.env, stderr=stderr)

    def check(self) -> None:
        """Have a worker of the module run tasks, and stop it."""
        worker = self.start()
        try:
            doubled, ping, triple = self.task("double").delay(2).get(timeout=allowed(20))
            assert (doubled, ping) == (4, True)
            assert self.queue.result(triple).get(timeout=allowed(20)) == 6
            assert self.task("quadruple").delay(2).get(timeout=allowed(20)) == 8
            assert self.task("die_once").delay(2).get(timeout=allowed(20)) == 2  # in quarantine
            wait_until(self.has_two_processes, what="two processes, as many as were asked for")
        finally:
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(allowed(30))
            worker.communicate()
            print(self.seen, self.log.read_text(), sep="\n")
        assert code == 0, self.log.read_text()

    def has_two_processes(self) -> bool:
        """Tell whether the dead one was replaced, and that of the quarantine has ended; a failure prints which are there."""
        found = self.queue.workers()
        self.seen = f"{time.time():.1f} {found}"
        return len({told["pid"] for told in found}) == 2

    def refusal(self) -> str:
        """Return what a worker of the module says, which has to refuse it."""
        worker = self.start()
        assert worker.wait(allowed(30)) == 2
        worker.communicate()
        return self.log.read_text()


@pytest.fixture
def served(tmp_path: Path, make_queue: Callable[..., HotQueue]) -> Served:
    return Served(tmp_path, make_queue())


SERVER = [
    "redis.Redis(port={port})",
    "redis.Redis(port={port}, decode_responses=True)",
    "redis.Redis(port={port}, retry_on_error=[OSError], socket_keepalive=True, socket_keepalive_options={})",
    "redis.Redis.from_url('redis://127.0.0.1:{port}/0?socket_timeout=3', protocol=3, client_name='mine')",
    "redis.Redis(connection_pool=redis.ConnectionPool(port={port}, socket_read_size=1024, max_connections=7))",
    "redis.Redis(connection_pool=redis.BlockingConnectionPool(port={port}, timeout=3), single_connection_client=True)",
]


@pytest.mark.servers("server")
@pytest.mark.parametrize("client", SERVER)
def test_a_client_of_a_server(served: Served, client: str, store_url: str) -> None:
    port = store_url.rpartition(":")[2].partition("/")[0]
    served.write(client.replace("{port}", port))
    served.check()


def test_a_client_of_a_socket_with_a_password_and_another_database(
    tmp_path: Path, start_redis: Callable[..., RedisServer], queue_name: str
) -> None:
    path = tmp_path / "redis.sock"
    server = start_redis("--unixsocket", str(path), "--requirepass", "secret")
    with HotQueue(queue_name, url=f"redis://:secret@127.0.0.1:{server.port}/3") as queue:
        served = Served(tmp_path, queue)
        for credentials in ("password='secret'", "credential_provider=UsernamePasswordCredentialProvider(None, 'secret')"):
            served.write(f"redis.Redis(unix_socket_path={str(path)!r}, db=3, {credentials})")
            served.check()
            assert "secret" not in served.log.read_text()


@pytest.mark.servers("sentinel")
@pytest.mark.parametrize("options", ["", "decode_responses=True", "db=3"])
def test_a_client_of_sentinels(served: Served, store_url: str, options: str, make_queue: Callable[..., HotQueue]) -> None:
    hosts = [tuple(host.split(":")) for host in store_url.partition("://")[2].partition("/")[0].split(",")]
    if "db" in options:
        served.queue = make_queue(url=store_url.rpartition("/")[0] + "/3")
    served.write(f"Sentinel({[(host, int(port)) for host, port in hosts]}).master_for({MASTER!r}, {options})")
    served.check()


@pytest.mark.servers("cluster")
@pytest.mark.parametrize(
    "how", ["redis.RedisCluster({host!r}, {port})", "redis.RedisCluster.from_url('redis://{host}:{port}/0')"]
)
def test_a_client_of_a_cluster(served: Served, store_url: str, how: str) -> None:
    host, port = store_url.partition("://")[2].partition("/")[0].split(",")[0].split(":")
    served.write(how.format(host=host, port=port))
    served.check()


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("client", "why"),
    [
        ("redis.Redis(connection_pool=redis.ConnectionPool(Own, port={port}))", "its connection_class is Own"),
        ("redis.Redis(port={port}, credential_provider=Secret())", "its credential_provider is <app.Secret object"),
    ],
)
def test_what_cannot_leave_its_process_is_named_and_a_url_helps(served: Served, store_url: str, client: str, why: str) -> None:
    served.write(client.replace("{port}", store_url.rpartition(":")[2].partition("/")[0]))
    said = served.refusal()
    assert why in said
    assert "name the store with url= instead (hotqueue-worker: -u URL)" in said
    assert "Traceback" not in said
    worker = served.start("-u", store_url)
    assert served.task("triple").delay(2).get(timeout=allowed(20)) == 6
    worker.terminate()
    worker.communicate()


@pytest.mark.servers("server")
def test_an_asyncio_client_is_refused_at_once(served: Served) -> None:
    served.write("redis.asyncio.Redis()")
    worker = served.start()
    assert worker.wait(allowed(30)) == 3
    worker.communicate()
    assert "redis= takes a synchronous client (redis.Redis, redis.RedisCluster)" in served.log.read_text()


@pytest.mark.servers("server")
def test_a_queue_with_a_client_can_be_pickled(make_queue: Callable[..., HotQueue], store_url: str) -> None:
    with redis.Redis.from_url(store_url, decode_responses=True) as client:
        queue = make_queue(url=None, redis=client, patience=7)
        again = pickle.loads(pickle.dumps(queue))
        again.put("there")
        assert queue.get() == "there"
        assert (str(again._store), again._store.patience) == (store_url, 7)
        again.close()
        assert client.ping()


def test_what_two_processes_tell_of_one_client_is_one_queue(queue_name: str) -> None:
    """Else a supervisor would look after each queue once more for each process that it starts."""
    client = redis.Redis(credential_provider=UsernamePasswordCredentialProvider("me", "secret"))
    store = pickle.dumps(HotQueue(queue_name, redis=client)._store)
    queues = Queues()
    first, second = (queues.broker_of(queue_name, pickle.loads(store)) for _ in range(2))
    assert first is second
    assert queues.all() == [first]


@pytest.mark.servers("server")
def test_one_with_a_connection_of_its_own_makes_works_here_and_cannot_be_pickled(
    make_queue: Callable[..., HotQueue], store_url: str
) -> None:
    class Own(redis.Connection): ...

    pool = redis.ConnectionPool.from_url(store_url, connection_class=Own)
    queue = make_queue(url=None, redis=redis.Redis(connection_pool=pool))
    queue.put(1)
    assert queue.get() == 1
    assert asyncio.run(_put_and_get(queue)) == 2
    with pytest.raises(ConfigError, match=r"cannot leave this process: its connection_class is .*Own"):
        pickle.dumps(queue)


async def _put_and_get(queue: HotQueue) -> object:
    async with queue:
        await queue.aput(2)
        return await queue.aget()


@pytest.mark.servers("server")
def test_a_queue_that_two_modules_name_in_two_ways_is_refused(tmp_path: Path, store_url: str, queue_name: str) -> None:
    """A worker would take it for two, and be in its own way: fetches refused, tasks that run twice."""
    other = store_url.replace("127.0.0.1", "localhost")
    for module, url in (("here", store_url), ("there", other)):
        text = f"from hotqueue import HotQueue\nqueue = HotQueue({queue_name!r}, url={url!r})\n"
        (tmp_path / f"{module}.py").write_text(text + f"@queue.task\ndef {module}_task(): ...\n")
    worker = start_command("hotqueue-worker", "here", "there", "-p", 1, cwd=tmp_path, stderr=subprocess.PIPE)
    _, said = worker.communicate(timeout=allowed(30))
    assert worker.returncode == 2
    assert said.endswith(f"is defined at {store_url} and at {other}, which is one place; write both in the same way\n")
