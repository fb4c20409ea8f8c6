"""A Redis that restarts, dies, fills up, refuses, or is not what the URL says: nothing is lost, work goes on by itself."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions as rx

from hotqueue import ConfigError, ConnectionFailed, HotQueue, HotQueueError, QueueFull, keys
from tests.crash.rig import ROUNDS, Load, Rig, report, seconds_until
from tests.support.durations import let_pass
from tests.support.needs import lacking
from tests.support.proxy import Proxy
from tests.support.servers import LOSES_NOTHING, RedisServer, free_port
from tests.support.waiting import allowed, wait_until

AOF = ("--appendonly", "yes", "--appendfsync", "everysec")
StartRig = Callable[..., tuple[Rig, RedisServer]]


@pytest.fixture
def start_rig(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[StartRig]:
    """``start_rig(*server options)`` → a rig and its server; the workers' log is shown when the test fails."""
    made: list[Rig] = []

    def start(*options: str) -> tuple[Rig, RedisServer]:
        server = start_redis(*options)
        made.append(Rig(tmp_path, server.url, server.client()))
        return made[-1], server

    yield start
    for rig in made:
        rig.stop()
        print(rig.said()[-4000:])


def test_lone_quick_tasks_are_told_at_once(start_rig: StartRig) -> None:
    """A worker that has learned to take many never goes to sleep on what it has not told."""
    rig, _ = start_rig()
    rig.start()
    took = [seconds_until(lambda n=n: rig.send(rig.tasks.work, n).get(30) == n) for n in range(30)]
    took += [seconds_until(lambda: rig.tasks.work.map(range(40)).get(30) == list(range(40))) for _ in range(30)]
    assert max(took) < allowed(1.5)


# --- restarts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill], ids=["clean", "kill -9"])
def test_work_goes_on_after_a_restart(start_rig: StartRig, end: Callable[[RedisServer], None]) -> None:
    """Rows 19 and 20: idle and under load; consuming again within 2 s of the server's return, nothing lost."""
    rig, server = start_rig(*LOSES_NOTHING)
    worker = rig.start("-p2")
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    took = []
    for _ in range(2 * ROUNDS):
        end(server)
        server.start()
        took.append(seconds_until(lambda: rig.send(rig.tasks.work, 0).get(30) == 0))
    report(f"Redis {end.__name__}, idle", took)
    loaded = []
    with Load(rig) as load:
        for _ in range(2 * ROUNDS):
            enough = load.ended() + 50
            wait_until(lambda enough=enough: load.ended() > enough)
            end(server)
            server.start()
            before = load.ended()
            loaded.append(seconds_until(lambda before=before: load.ended() > before))
    report(f"Redis {end.__name__}, under load", loaded)
    load.check_all_done()
    assert max(took + loaded) < allowed(2)
    assert worker.poll() is None
    assert rig.said().count("Traceback") == 0
    if end is RedisServer.stop:
        assert rig.counted("succeeded") == rig.counted("enqueued")


def test_work_goes_on_after_a_long_loading(start_rig: StartRig) -> None:
    """Row 37: LOADING is waited out, by producer and worker. A server answers while it loads once in 2 MB."""
    rig, server = start_rig("--key-load-delay", "2000", "--rdbcompression", "no")
    rig.start()
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    with rig.redis.pipeline() as pipe:
        for n in range(1000):
            pipe.set(f"ballast:{n}", bytes(20_000))
        pipe.execute()
    rig.redis.save()
    server.kill()
    sent: list[Any] = []

    def send() -> None:
        wait_until(lambda: _says(server.port, b"-LOADING"), what="the server is loading")
        sent.append(rig.send(rig.tasks.work, 1))

    thread = threading.Thread(target=send)
    thread.start()
    server.start()
    took = seconds_until(lambda: sent and sent[0].get(30) == 1)
    thread.join()
    report("Redis loads for some seconds", [took])
    assert took < allowed(2)
    assert "Traceback" not in rig.said()


def _says(port: int, what: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(b"GET x\r\n")
            return link.recv(64).startswith(what)
    except OSError:
        return False


@pytest.mark.parametrize("harm", ["script flush", "client kill", "scripts that take long"])
def test_a_server_that_is_tampered_with_loses_nothing(start_rig: StartRig, harm: str) -> None:
    """Rows 27, 28 and 33: SCRIPT FLUSH and CLIENT KILL every 100 ms or so; scripts of others that block for 300 ms."""
    rig, server = start_rig("--lua-time-limit", "50")
    worker = rig.start("-p2")
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    started, ended = rig.starts()["0"], threading.Event()

    def tamper() -> None:
        other, killer_client = server.client(), server.client()
        killer_client.ping()
        while not ended.wait(0.1):
            if harm == "script flush":
                other.script_flush()
            elif harm == "client kill":
                other.client_kill_filter(_type="normal", skipme=True)
            else:
                killer = threading.Timer(0.3, killer_client.script_kill)
                killer.start()
                with pytest.raises(rx.ResponseError):
                    other.eval("while true do end", 0)
                killer.join()

    thread = threading.Thread(target=tamper)
    thread.start()
    with Load(rig) as load:
        wait_until(lambda: len(load.results) > 200)
    ended.set()
    thread.join()
    load.check_all_done()
    assert worker.poll() is None
    assert rig.counted("succeeded") == rig.counted("enqueued") == len(load.results) + started
    assert "Traceback" not in rig.said()


def test_connections_that_the_server_closes_or_refuses(start_rig: StartRig) -> None:
    """Row 33: `timeout` closes idle ones, `maxclients` refuses new ones; both are waited out."""
    rig, server = start_rig("--timeout", "1")
    worker = rig.start()
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    looker = server.client()
    looker.config_set("timeout", 1)
    wait_until(lambda: not [c for c in looker.client_list() if int(c["idle"]) > 2])
    looker.config_set("timeout", 0)
    looker.config_set("maxclients", len(looker.client_list()))
    looker.client_kill_filter(_type="normal", skipme=True)
    held = [server.client() for _ in range(100)]
    with pytest.raises(rx.ConnectionError, match="max number of clients"):  # noqa: PT012
        for client in held:
            client.ping()
    wait_until(lambda: "max number of clients" in rig.said() or "Connection" in rig.said())
    with pytest.raises(ConnectionFailed):
        rig.tasks.work.delay(1)
    for client in held:
        client.close()
    looker.config_set("maxclients", 10_000)
    assert rig.send(rig.tasks.work, 2).get(30) == 2
    assert worker.poll() is None


def test_a_restart_without_the_data_is_a_new_start(start_rig: StartRig) -> None:
    """Rows 20 and 76: a server that comes back empty loses what it forgot; the worker registers again and goes on."""
    rig, server = start_rig()
    worker = rig.start("-p2")
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    server.kill()
    server.start()
    assert seconds_until(lambda: rig.send(rig.tasks.work, 1).get(30) == 1) < allowed(2)
    wait_until(lambda: len(rig.registered()) >= 2)
    assert worker.poll() is None


# --- no room ---------------------------------------------------------------------------------------------------------


def test_a_full_server_is_drained(start_rig: StartRig) -> None:
    """Row 25: producers get QueueFull; workers, even ones started now, do all that waits; their results are found."""
    rig, _ = start_rig()
    results = [rig.tasks.echo.delay("x" * 1000) for _ in range(300)]
    results += [rig.tasks.awork.delay(n) for n in range(50)]
    results += [rig.tasks.flaky.delay(n, 1) for n in range(50)]
    results += [rig.tasks.work.apply_async((n,), countdown=0.5) for n in range(50)]
    rig.redis.config_set("maxmemory", 1)
    for _ in range(3):
        with pytest.raises(QueueFull, match="maxmemory"):
            rig.tasks.work.delay(0)
    worker = rig.start("-p2", "--lease", "2", wait=False)
    assert [len(r.get(30)) for r in results[:300]] == [1000] * 300
    assert [r.get(30) for r in results[300:]] == [*range(50)] * 3
    assert worker.poll() is None
    assert rig.registered()
    rig.check_nothing_left()
    rig.redis.config_set("maxmemory", 0)
    assert seconds_until(lambda: rig.tasks.work.delay(1).get(30) == 1) < allowed(4)
    assert "Traceback" not in rig.said()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True, check=False)
    if done.returncode:
        raise lacking("the right to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_waited_out(small_disk: Path, tmp_path: Path) -> None:
    """Row 58: producers are told of the disk, workers wait with what they have done, and it heals without help."""
    server = RedisServer(small_disk / "redis", *AOF)
    rig = Rig(tmp_path, server.url, server.client())
    try:
        worker = rig.start("-p2")
        slow = [rig.send(rig.tasks.work, n, 0.5) for n in range(2)]
        wait_until(lambda: len(rig.starts()) == 2)
        with open(small_disk / "filler", "wb", buffering=0) as file, pytest.raises(OSError, match="No space"):  # noqa: PT012
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(ConnectionFailed, match="disk"):  # noqa: PT012
            while True:
                rig.tasks.echo.delay("x" * 100)
        wait_until(lambda: "disk" in rig.said())
        waiting = rig.unfinished()
        assert waiting
        (small_disk / "filler").unlink()
        took = seconds_until(lambda: rig.send(rig.tasks.work, 9).get(30) == 9)
        report("disk full, then space", [took])
        assert took < allowed(4)  # Redis itself looks again once a second
        assert [r.get(30) for r in slow] == [0, 1]
        assert (rig.starts()["0"], rig.starts()["1"]) == (1, 1)
        rig.check_nothing_left()
        assert worker.poll() is None
    finally:
        rig.stop()
        server.stop()
        print(rig.said()[-4000:])


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("", "Authentication required"),
        (":wrong", "WRONGPASS"),
        ("noscripts:pw", "evalsha"),
        ("nokeys:pw", "NOPERM"),
    ],
)
def test_a_refused_worker_says_so_and_exits(start_rig: StartRig, user: str, said: str) -> None:
    """Row 34: at once, one sentence, no loop; and so for the producer."""
    rig, server = start_rig()
    rig.redis.execute_command("ACL", "SETUSER", "noscripts", "on", ">pw", "~*", "+@all", "-evalsha", "-eval")
    rig.redis.execute_command("ACL", "SETUSER", "nokeys", "on", ">pw", "~other:*", "+@all")
    rig.redis.config_set("requirepass", "secret")
    url = server.url.replace("//", f"//{user}@") if user else server.url
    began = time.monotonic()
    worker = rig.start(url=url, wait=False)
    assert worker.wait(allowed(10)) == 4
    assert time.monotonic() - began < allowed(5)
    (line,) = [line for line in rig.said().splitlines() if line.startswith("hotqueue-worker:")]
    assert said in line
    assert "check the user name, the password and the user's permissions" in line
    assert "Traceback" not in rig.said()
    queue = HotQueue(rig.name, url=url)
    began = time.monotonic()
    with pytest.raises(ConnectionFailed, match="permission") as raised:
        queue.submit(len, "x")
    assert time.monotonic() - began < allowed(1)
    assert not raised.value.retry
    queue.close()


def test_a_permission_that_is_taken_away_and_given_back(start_rig: StartRig) -> None:
    """Row 34: a running worker says so once, waits, and goes on."""
    rig, _ = start_rig()
    rig.redis.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
    worker = rig.start(url=f"redis://app:pw@127.0.0.1:{rig.redis.connection_pool.connection_kwargs['port']}/0")
    assert rig.send(rig.tasks.work, 0).get(30) == 0
    rig.redis.execute_command("ACL", "SETUSER", "app", "-evalsha", "-eval")
    result = rig.send(rig.tasks.work, 1)
    wait_until(lambda: "evalsha" in rig.said())
    wait_until(lambda: max(entry["count"] for entry in rig.redis.acl_log()) >= 5, what="the worker has tried again some times")
    rig.redis.execute_command("ACL", "SETUSER", "app", "+evalsha", "+eval")
    assert result.get(30) == 1
    assert worker.poll() is None
    assert rig.said().count("ERROR") <= 3  # one a worker, not one a try
    assert "Traceback" not in rig.said()


@pytest.mark.parametrize(
    ("policy", "warned"), [("noeviction", False), ("volatile-lru", False), ("allkeys-lru", True), ("allkeys-random", True)]
)
def test_a_server_that_may_evict_tasks_is_warned_of(start_rig: StartRig, policy: str, warned: bool) -> None:
    """Row 26."""
    rig, _ = start_rig("--maxmemory", "100mb", "--maxmemory-policy", policy)
    rig.start()
    wait_until(lambda: "  queues" in rig.said(), what="the banner, which comes after the check")
    assert ("may throw away tasks" in rig.said()) is warned
    assert rig.said().count(policy) == warned


@pytest.mark.parametrize(("persists", "warned"), [("no", 1), ("yes", 0)])
def test_a_server_that_forgets_tasks_is_warned_of_once(start_rig: StartRig, persists: str, warned: int) -> None:
    rig, _ = start_rig("--appendonly", persists)
    rig.start("-p", 2)
    wait_until(lambda: len(rig.queue.workers()) >= 2, what="both processes")
    assert rig.said().count("its appendonly is no; set it to yes") == warned


def test_a_server_that_runs_no_scripts_is_refused(start_rig: StartRig) -> None:
    """And is not called too old; nor does a worker try for ever."""
    rig, _ = start_rig("--rename-command", "EVAL", "", "--rename-command", "EVALSHA", "")
    worker = rig.start(wait=False)
    assert worker.wait(30) == 4
    assert "renamed or disabled there" in rig.said()
    assert "6.2" not in rig.said()
    assert "trying again" not in rig.said()


def test_a_server_that_is_too_old_is_refused(start_rig: StartRig) -> None:
    """Row 38."""
    rig, server = start_rig()
    proxy = Proxy(server.url)
    version = rig.redis.info("server")["redis_version"].encode()
    proxy.rewrite(b"redis_version:" + version, b"redis_version:" + b"5" + version[1:])
    worker = rig.start(url=proxy.url, wait=False)
    assert worker.wait(30) == 2
    assert "hotqueue needs Redis 6.2 or newer" in rig.said()
    assert "trying again" not in rig.said()  # nor did a process begin to work before that was found
    proxy.close()


# --- not what the URL says -------------------------------------------------------------------------------------------


class Places:
    """Where something else than the expected answers, or nothing."""

    def __init__(self, server: RedisServer) -> None:
        self.redis = server.port
        self._http = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        self._http.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
        self.http = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self._banner = socket.create_server(("127.0.0.1", 0))
        self.ssh = self._banner.getsockname()[1]
        threading.Thread(target=self._greet, daemon=True).start()
        self.nobody = free_port()

    def _greet(self) -> None:
        while True:
            try:
                link, _ = self._banner.accept()
            except OSError:
                return
            with link:
                link.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                link.recv(100)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._banner.close()


WRONG = [
    ("redis://127.0.0.1:{nobody}/0", ConnectionFailed, "refused"),
    ("redis://no-such-host.invalid:6379/0", ConnectionFailed, "no-such-host.invalid"),
    ("redis://127.0.0.1:{http}/0", ConnectionFailed, "is not a Redis server|closed by server"),
    ("redis://127.0.0.1:{ssh}/0", ConnectionFailed, "is not a Redis server"),
    ("rediss://127.0.0.1:{redis}/0", ConnectionFailed, "TLS"),
    ("redis://127.0.0.1:{redis}/99", ConfigError, "DB index is out of range|database"),
    ("redis://:secret@127.0.0.1:{redis}/0", ConnectionFailed, "password"),
    ("redis://nobody:secret@127.0.0.1:{redis}/0", ConnectionFailed, "WRONGPASS.*user name"),
    ("redis+sentinel://127.0.0.1:{redis}/mymaster/0", ConnectionFailed, "sentinel|mymaster"),
    ("redis+sentinel://127.0.0.1:{nobody}/mymaster/0", ConnectionFailed, "mymaster"),
    ("redis+cluster://127.0.0.1:{redis}", (ConnectionFailed, ConfigError), "cluster"),
    ("redis+cluster://127.0.0.1:{nobody}", ConnectionFailed, "cluster|refused"),
    ("unix:///no/such/redis.sock", ConnectionFailed, "/no/such/redis.sock"),
    ("http://127.0.0.1:{redis}", ConfigError, "http"),
]


@pytest.mark.parametrize(("url", "kind", "said"), WRONG, ids=[url for url, _, _ in WRONG])
def test_a_wrong_url_is_one_sentence(start_redis: Callable[..., RedisServer], url: str, kind: Any, said: str) -> None:
    """Row 35: what was tried, and what answered."""
    places = Places(start_redis())
    began = time.monotonic()
    with pytest.raises(kind, match=f"(?is){said}") as raised:  # noqa: PT012
        url = url.format(**{k: v for k, v in vars(places).items() if isinstance(v, int)})
        HotQueue("q", url=url).submit(len, "x")
    took = time.monotonic() - began
    places.close()
    text = str(raised.value)
    assert "\n" not in text.strip()
    assert len(text) < 500
    assert took < allowed(9)
    if isinstance(raised.value, ConnectionFailed) and not raised.value.retry:
        assert took < allowed(3)
    if "://127" in url and not url.startswith("http:"):
        assert url.rpartition("@")[2].split("//")[-1].split("/")[0] in text, "it does not name the place"
    assert "secret" not in text


def test_a_worker_without_a_server_says_so(start_rig: StartRig) -> None:
    """Rows 22 and 35: it gives up after some seconds with exit code 4; `delay` did so in time."""
    rig, server = start_rig()
    server.stop()
    worker = rig.start(wait=False)
    with pytest.raises(ConnectionFailed, match="nothing was sent") as raised:
        rig.tasks.work.delay(1)
    assert not raised.value.sent
    assert worker.wait(allowed(10)) == 4
    (line,) = [line for line in rig.said().splitlines() if line]
    assert line.startswith("hotqueue-worker:")
    assert str(server.port) in line


def test_a_worker_outlives_a_redis_that_goes_away_for_long(start_rig: StartRig) -> None:
    """Row 22: one line an outage, not one a try; what it had done is told when Redis is back."""
    rig, server = start_rig(*AOF)
    worker = rig.start("-p2")
    slow = [rig.send(rig.tasks.work, n, 0.4) for n in range(2)]
    wait_until(lambda: len(rig.starts()) == 2)
    server.stop()
    time_out = time.monotonic() + 4
    with pytest.raises(HotQueueError):
        rig.tasks.work.delay(3)
    let_pass(time_out - time.monotonic())
    lines = rig.said().count("trying again until it answers")
    assert 1 <= lines <= 8  # a line each of supervisor and workers, for commands and for bells
    server.start()
    assert [r.get(30) for r in slow] == [0, 1]
    assert sorted(rig.starts().values()) == [1, 1]
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert os.path.exists(rig.log)
    assert rig.redis.hlen(keys.tasks(rig.name)) == 0
