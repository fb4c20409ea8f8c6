"""TLS as docs/security.md walks through it: a CA of one's own, made by openssl; real servers that speak nothing else."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hotqueue import ConnectionFailed, HotQueue
from tests.support.elsewhere import task_by_name
from tests.support.needs import are_required, lacking
from tests.support.processes import run_command
from tests.support.servers import MASTER, Cluster, RedisServer, Sentinel, binary
from tests.support.waiting import wait_until

NAME = "tls-test"
REFUSED = r"CERTIFICATE_VERIFY_FAILED.*nothing was sent: name the CA .* with ssl_ca_certs"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.crt, and keys and certificates of a server and a client; the commands are those of the docs."""
    if not shutil.which("openssl"):
        raise lacking("openssl", "openssl")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)

    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    usage = "-addext keyUsage=critical,keyCertSign,cRLSign"  # without it, and the key identifier, Python 3.13 refuses
    for ca in ("ca", "other-ca"):
        openssl(f"req -x509 {key} -keyout {ca}.key -out {ca}.crt -days 3650 -subj /CN=hotqueue-{ca} {usage}")
    for name, also in (("redis", ""), ("client", ""), ("by-address", ",IP:127.0.0.1")):
        (folder / "san").write_text(f"subjectAltName=DNS:localhost{also}\nauthorityKeyIdentifier=keyid\n")
        openssl(f"req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 365 -extfile san")
    return folder


class TlsServer(RedisServer):
    """A server that speaks TLS alone; its certificate is for localhost, or `name` says for what."""

    def __init__(self, folder: Path, certificates: Path, *options: str, name: str = "redis") -> None:
        self.certificates, self._name = certificates, name
        super().__init__(folder, *options)

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(host="localhost", port=self.port, ssl=True, ssl_ca_certs=str(self.certificates / "ca.crt"), **options)

    def _command(self, port: int) -> list[str]:
        made = super()._command(port)
        made[made.index("--port")] = "--tls-port"
        files = {"cert": f"{self._name}.crt", "key": f"{self._name}.key", "ca-cert": "ca.crt"}
        return [*made, "--port", "0", *(x for n, f in files.items() for x in (f"--tls-{n}-file", str(self.certificates / f)))]

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        context.load_cert_chain(self.certificates / "client.crt", self.certificates / "client.key")
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port_asked), timeout=2) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as link,
            ):
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@pytest.fixture(scope="module")
def start_tls(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TlsServer]]:
    """``start_tls(*options)`` → a server; skips where the server was built without TLS."""
    started: list[TlsServer] = []

    def start(*options: str) -> TlsServer:
        _skip_without_tls()
        started.append(TlsServer(tmp_path_factory.mktemp("redis"), certificates, *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def _skip_without_tls() -> None:
    # A server without TLS does not know the option, or says what it lacks; one with it fails for want of a certificate.
    done = subprocess.run([binary(), "--port", "0", "--tls-port", "1"], capture_output=True, text=True, timeout=20, check=False)
    if re.search("Bad directive|Failed finding TLS support", done.stdout + done.stderr):
        raise lacking("a server with TLS", "redis-server", required=are_required())


@pytest.fixture(scope="module")
def server(start_tls: Callable[..., TlsServer]) -> TlsServer:
    """A server that asks for no certificate of its clients."""
    return start_tls("--tls-auth-clients", "no")


def url(server: TlsServer, host: str = "localhost", **options: object) -> str:
    return f"rediss://{host}:{server.port}/0?" + "&".join(f"{name}={value}" for name, value in options.items())


def use(where: str) -> None:
    with HotQueue(NAME, url=where) as queue:
        queue.put("over TLS")
        assert queue.get(block=True, timeout=30) == "over TLS"


def ask_once(where: str) -> None:
    """Try what a client's call tries for 5 seconds."""
    with HotQueue(NAME, url=where) as queue:
        queue._store.command(queue.key, "LLEN", queue.key)


def test_everything_goes_over_tls(server: TlsServer, certificates: Path, start_command: Callable[..., Any]) -> None:
    where = url(server, ssl_ca_certs=certificates / "ca.crt")
    use(where)
    worker = start_command("hotqueue-worker", "-Q", NAME, "-p", "1", env={"HOTQUEUE_URL": where})
    with HotQueue(NAME, url=where) as queue:
        assert queue.submit(lambda: "done over TLS").get(timeout=30) == "done over TLS"
        assert asyncio.run(_from_a_loop(queue)) == ("hello", 3)
        queue.put(1)
        assert run_command("hotwatch", NAME, env={"HOTQUEUE_URL": where}, check=True).stdout == f"{NAME}: 1 items\n"
        queue.clear()
    worker.terminate()
    assert worker.wait(20) == 0


async def _from_a_loop(queue: HotQueue) -> tuple[Any, int]:
    async with queue:
        await queue.aput("hello")
        return await queue.aget(), await queue.submit(len, "abc")


def test_keywords_do_as_well_as_a_url(server: TlsServer, certificates: Path) -> None:
    with HotQueue(NAME, host="localhost", port=server.port, ssl=True, ssl_ca_certs=str(certificates / "ca.crt")) as queue:
        queue.put(5)
        assert queue.get() == 5


@pytest.mark.parametrize("ca", [None, "other-ca.crt"])
def test_a_server_that_no_known_ca_vouches_for_is_refused(server: TlsServer, certificates: Path, ca: str | None) -> None:
    options = {"ssl_ca_certs": certificates / ca} if ca else {}
    with pytest.raises(ConnectionFailed, match=REFUSED) as caught:
        use(url(server, **options))
    assert not caught.value.sent


def test_a_server_under_another_name_is_refused(server: TlsServer, certificates: Path) -> None:
    with pytest.raises(ConnectionFailed, match=REFUSED):
        use(url(server, "127.0.0.1", ssl_ca_certs=certificates / "ca.crt"))


def test_without_tls_nothing_is_answered(server: TlsServer) -> None:
    with pytest.raises(ConnectionFailed):
        ask_once(f"redis://localhost:{server.port}/0")


def test_tls_to_a_port_without_it_says_so(start_redis: Callable[..., RedisServer], certificates: Path) -> None:
    plain = start_redis()
    with pytest.raises(ConnectionFailed, match="the URL asks for TLS: does this port speak it"):
        ask_once(f"rediss://localhost:{plain.port}/0?ssl_ca_certs={certificates / 'ca.crt'}")


def test_a_server_may_ask_for_a_certificate_of_the_client(start_tls: Callable[..., TlsServer], certificates: Path) -> None:
    strict = start_tls("--tls-auth-clients", "yes")
    with pytest.raises(ConnectionFailed, match="does it ask for a certificate of yours"):
        ask_once(url(strict, ssl_ca_certs=certificates / "ca.crt"))
    own = {"ssl_certfile": certificates / "client.crt", "ssl_keyfile": certificates / "client.key"}
    use(url(strict, ssl_ca_certs=certificates / "ca.crt", **own))


# --- Sentinel, Cluster -----------------------------------------------------------------------------------------------

# Sentinels and nodes of a cluster name others by address, so the certificates are for the address as well.
AMONG_THEMSELVES = ("--tls-auth-clients", "no", "--tls-replication", "yes")


class TlsSentinelProcess(TlsServer):
    """A sentinel that speaks TLS alone, with the servers it watches as well."""

    def __init__(self, folder: Path, certificates: Path, master: int) -> None:
        folder.mkdir(parents=True)
        self._conf = folder / "sentinel.conf"
        self._conf.write_text(f"sentinel monitor {MASTER} 127.0.0.1 {master} 1\nsentinel down-after-milliseconds {MASTER} 1000\n")
        super().__init__(folder, certificates, *AMONG_THEMSELVES, name="by-address")

    def _command(self, port: int) -> list[str]:
        made = super()._command(port)
        cut = made.index("--save"), made.index("--daemonize")
        return [made[0], str(self._conf), "--sentinel", *made[1 : cut[0]], *made[cut[1] + 2 :]]


class TlsSentinel(Sentinel):
    """A master, a replica and a sentinel; nothing is said without TLS, to clients or among them."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        started: list[RedisServer] = []
        try:
            quick = ("--repl-diskless-sync-delay", "0", *AMONG_THEMSELVES)
            self.master = TlsServer(folder / "master", certificates, *quick, name="by-address")
            started.append(self.master)
            follow = ("--replicaof", "127.0.0.1", str(self.master.port))
            self.replica = TlsServer(folder / "replica", certificates, *quick, *follow, name="by-address")
            started.append(self.replica)
            self.sentinels = [TlsSentinelProcess(folder / "sentinel", certificates, self.master.port)]
            started += self.sentinels
            self._wait()
        except BaseException:
            for server in started:
                server.stop()
            raise


class TlsCluster(Cluster):
    """Three masters that speak nothing but TLS, to clients and among them."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--tls-cluster", "yes", *AMONG_THEMSELVES)
        self.nodes = []
        try:
            for n in range(3):
                self.nodes.append(TlsServer(folder / f"node{n}", certificates, *options, name="by-address"))
            self._join()
        except BaseException:
            self.stop()
            raise


@pytest.fixture(scope="module")
def sentinel(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSentinel]:
    _skip_without_tls()
    made = TlsSentinel(tmp_path_factory.mktemp("sentinel"), certificates)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cluster(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsCluster]:
    _skip_without_tls()
    made = TlsCluster(tmp_path_factory.mktemp("cluster"), certificates)
    yield made
    made.stop()


@pytest.fixture(params=["sentinel", "cluster"])
def many(request: pytest.FixtureRequest) -> TlsSentinel | TlsCluster:
    """Each kind of store of several servers."""
    found: TlsSentinel | TlsCluster = request.getfixturevalue(request.param)
    return found


UNKNOWN_CA = "CERTIFICATE_VERIFY_FAILED.*name the CA|No master found.*is its CA one of ssl_ca_certs"  # no word more of redis-py


def many_url(many: TlsSentinel | TlsCluster, ca: Path | None) -> str:
    return many.url.replace("redis+", "rediss+") + (f"?ssl_ca_certs={ca}" if ca else "")


def test_several_servers_over_tls(many: TlsSentinel | TlsCluster, certificates: Path, start_command: Callable[..., Any]) -> None:
    where = many_url(many, certificates / "ca.crt")
    use(where)
    worker = start_command("hotqueue-worker", "-Q", NAME, "-p", "1", env={"HOTQUEUE_URL": where})
    with HotQueue(NAME, url=where) as queue:
        assert queue.submit(lambda: "done over TLS").get(timeout=30) == "done over TLS"
        assert asyncio.run(_from_a_loop(queue)) == ("hello", 3)
    worker.terminate()
    assert worker.wait(20) == 0


@pytest.mark.parametrize("ca", [None, "other-ca.crt"])
def test_several_servers_that_no_known_ca_vouches_for_are_refused(
    many: TlsSentinel | TlsCluster, certificates: Path, ca: str | None
) -> None:
    with pytest.raises(ConnectionFailed, match=UNKNOWN_CA) as caught:
        ask_once(many_url(many, certificates / ca if ca else None))
    assert "\n" not in str(caught.value)


def test_a_client_of_several_servers_over_tls_is_used_with_its_settings(
    many: TlsSentinel | TlsCluster, certificates: Path
) -> None:
    tls = {"ssl": True, "ssl_ca_certs": str(certificates / "ca.crt")}
    if isinstance(many, TlsSentinel):
        from redis.sentinel import Sentinel as Sentinels

        hosts = [("127.0.0.1", server.port) for server in many.sentinels]
        client = Sentinels(hosts, sentinel_kwargs=tls, **tls).master_for(MASTER)
    else:
        client = redis.RedisCluster(host="127.0.0.1", port=many.nodes[0].port, **tls)
    with HotQueue(NAME, redis=client) as queue:
        queue.put(1)
        assert queue.get() == 1
        assert asyncio.run(_put_and_get(queue)) == 2
    client.close()


async def _put_and_get(queue: HotQueue) -> Any:
    async with queue:
        await queue.aput(2)
        return await queue.aget()


def test_sentinel_promotes_a_replica_over_tls(
    sentinel: TlsSentinel, certificates: Path, start_command: Callable[..., Any]
) -> None:
    where = many_url(sentinel, certificates / "ca.crt")
    worker = start_command("hotqueue-worker", "-Q", NAME, "-p", "1", env={"HOTQUEUE_URL": where})
    with HotQueue(NAME, url=where) as queue:
        assert queue.submit(len, "abc").get(timeout=30) == 3
        wait_until(lambda: sentinel.replica.client().info("replication")["master_link_status"] == "up")
        sentinel.master.kill()
        wait_until(lambda: sentinel.replica.role() == "master")
        result = wait_until(lambda: _sent(queue))
        assert result.get(timeout=30) == 4
    worker.terminate()
    assert worker.wait(20) == 0


def _sent(queue: HotQueue) -> Any:
    try:
        return queue.submit(len, "abcd")
    except ConnectionFailed:
        return None


CLIENTS = {
    "server": "redis.Redis(port={port}, ssl=True, ssl_ca_certs={ca!r})",
    "a URL of one": "redis.Redis.from_url('rediss://localhost:{port}/0?ssl_ca_certs={ca}')",
    "sentinel": "Sentinel([('127.0.0.1', {port})], sentinel_kwargs=tls, **tls).master_for({master!r})",
    "cluster": "redis.RedisCluster(host='127.0.0.1', port={port}, **tls)",
    "a URL of a cluster": "redis.RedisCluster.from_url('rediss://127.0.0.1:{port}/0?ssl_ca_certs={ca}')",
}
SERVED = """
import redis
from redis.sentinel import Sentinel
from hotqueue import HotQueue
tls = dict(ssl=True, ssl_ca_certs={ca!r})
queue = HotQueue({name!r}, redis={client})
@queue.task
async def double(n):
    return 2 * n
"""


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_worker_serves_a_module_with_a_client_over_tls(
    request: pytest.FixtureRequest, kind: str, certificates: Path, tmp_path: Path, start_command: Callable[..., Any]
) -> None:
    ca = str(certificates / "ca.crt")
    if kind == "sentinel":
        site: TlsSentinel = request.getfixturevalue("sentinel")
        port, where = site.sentinels[0].port, many_url(site, Path(ca))
    elif "cluster" in kind:
        nodes: TlsCluster = request.getfixturevalue("cluster")
        port, where = nodes.nodes[0].port, many_url(nodes, Path(ca))
    else:
        single: TlsServer = request.getfixturevalue("server")
        port, where = single.port, url(single, ssl_ca_certs=ca)
    client = CLIENTS[kind].format(port=port, ca=ca, master=MASTER)
    (tmp_path / "served.py").write_text(SERVED.format(ca=ca, name=NAME, client=client))
    worker = start_command("hotqueue-worker", "served", "-p", "1", cwd=tmp_path)
    with HotQueue(NAME, url=where) as queue:
        task = task_by_name(queue, "served.double", is_async=True)
        assert task.delay(2).get(timeout=30) == 4
    worker.terminate()
    assert worker.wait(20) == 0
