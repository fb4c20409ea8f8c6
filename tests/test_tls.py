"""TLS as docs/security.md walks through it: a CA of one's own, made by openssl; real servers that speak nothing else."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, HotQueue
from tests.processes import run_command
from tests.servers import NoServer, RedisServer, binary

NAME = "tls-test"
REFUSED = r"CERTIFICATE_VERIFY_FAILED.*nothing was sent: name the CA .* with ssl_ca_certs"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.crt, and keys and certificates of a server and a client; the commands are those of the docs."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl command")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)

    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    usage = "-addext keyUsage=critical,keyCertSign,cRLSign"  # without it, and the key identifier, Python 3.13 refuses
    for ca in ("ca", "other-ca"):
        openssl(f"req -x509 {key} -keyout {ca}.key -out {ca}.crt -days 3650 -subj /CN=hotqueue-{ca} {usage}")
    (folder / "san").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    for name in ("redis", "client"):
        openssl(f"req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 365 -extfile san")
    return folder


class TlsServer(RedisServer):
    """A server that speaks TLS alone."""

    def __init__(self, folder: Path, certificates: Path, *options: str) -> None:
        self.certificates = certificates
        super().__init__(folder, *options)

    def _command(self, port: int) -> list[str]:
        made = super()._command(port)
        made[made.index("--port")] = "--tls-port"
        files = {"cert": "redis.crt", "key": "redis.key", "ca-cert": "ca.crt"}
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
    try:
        # A server without TLS does not know the option; one with it fails for want of a certificate.
        done = subprocess.run(
            [binary(), "--port", "0", "--tls-port", "1"], capture_output=True, text=True, timeout=20, check=False
        )
    except NoServer as error:
        pytest.skip(str(error))
    if "tls-port" in done.stdout + done.stderr and "Bad directive" in done.stdout + done.stderr:
        pytest.skip("this server was built without TLS")


@pytest.fixture(scope="module")
def server(start_tls: Callable[..., TlsServer]) -> TlsServer:
    """A server that asks for no certificate of its clients."""
    return start_tls("--tls-auth-clients", "no")


def url(server: TlsServer, host: str = "localhost", **options: object) -> str:
    return f"rediss://{host}:{server.port}/0?" + "&".join(f"{name}={value}" for name, value in options.items())


def use(where: str) -> None:
    with HotQueue(NAME, url=where) as queue:
        queue.put("over TLS")
        assert queue.get(block=True, timeout=5) == "over TLS"


def ask_once(where: str) -> None:
    """Try what a client's call tries for 5 seconds."""
    with HotQueue(NAME, url=where) as queue:
        queue.store.command(queue.key, "LLEN", queue.key)


def test_everything_goes_over_tls(server: TlsServer, certificates: Path, start_command: Callable[..., Any]) -> None:
    where = url(server, ssl_ca_certs=certificates / "ca.crt")
    use(where)
    worker = start_command("hotqueue-worker", "-Q", NAME, "-p", "1", env={"HOTQUEUE_URL": where})
    with HotQueue(NAME, url=where) as queue:
        assert queue.submit(lambda: "done over TLS").get(timeout=20) == "done over TLS"
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
