"""The test servers themselves: every kind answers, also on a machine that has Python alone; a server that is killed can
be started again; leaks are seen; what was skipped is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue.embedded import binaries
from hotqueue.store.store import Store
from tests.support import leaks, needs
from tests.support.servers import NoServer, RedisServer, binary
from tests.support.waiting import wait_until


def test_every_kind_stores_and_returns(store: Store, queue_name: str) -> None:
    key = f"hotqueue:{queue_name}"
    assert store.command(key, "RPUSH", key, "a", "b") == 2
    assert store.command(key, "LRANGE", key, 0, -1) == [b"a", b"b"]


def test_a_key_without_ttl_or_owner_is_a_leak(store: Store, queue_name: str) -> None:
    of = f"{{hotqueue:{queue_name}}}:"
    client = store.client()
    client.hset(of + "tasks", "id", "envelope")
    client.zadd(of + "workers", {"alive": 1})
    client.hset(of + "held:alive", "id", "place")
    client.set(of + "result:1", "value", ex=10)
    client.hset(of + "held:gone", "id", "place")
    client.set(of + "result:2", "value")
    bad = [of + "held:gone", of + "result:2"]
    assert leaks.leaked(client, leaks.keys_of(client, queue_name)) == bad
    client.unlink(*bad)


def test_a_killed_server_starts_again_on_its_port(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis("--requirepass", "secret")
    port = server.port
    with server.client(password="secret") as client:
        client.set("a", 1)
        server.kill()
        server.start()
        assert server.port == port
        assert client.get("a") is None


def test_wait_until_says_what_did_not_come_true() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0\.01 s: the moon is blue \(last: \[\]\)"):
        wait_until(list, 0.01, "the moon is blue")


def test_the_embedded_packages_server_serves_where_no_other_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fresh machine: nothing is skipped there for want of a server."""
    monkeypatch.delenv("HOTQUEUE_TEST_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(Path(sys.prefix) / "bin"))  # in which the package puts a server, too
    assert binary() == next(binaries.brought())
    monkeypatch.setattr(binaries, "brought", lambda: iter(()))
    with pytest.raises(NoServer):
        binary()


def test_what_was_skipped_is_told_in_one_line() -> None:
    reasons = ["needs a server with TLS (apt-get install redis-server)"] * 2
    reasons += ["needs libfaketime (apt-get install faketime)", "needs root", "there is no fork here"]
    assert needs.told(reasons) == (
        "5 tests need what is not here: a server with TLS (2), libfaketime (1): `apt-get install faketime redis-server` "
        "runs these as well; root (1), there is no fork here (1)"
    )
    assert needs.told(["needs root"]) == "1 test needs what is not here: root (1)"
    assert needs.told([]) == ""
