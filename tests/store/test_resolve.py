"""Ways of naming a store: URLs, files, redis keywords, clients, the environment; never two at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from hotqueue.errors import ConfigError
from hotqueue.store.address import Address
from hotqueue.store.resolve import resolve


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOTQUEUE_URL", raising=False)


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


def test_values_may_be_text_and_file_names_bytes() -> None:
    assert resolve(options={"host": "h", "port": "6379", "db": "1"}).kind == "server"
    assert resolve(dbfilename=b"/x.rdb").path == "/x.rdb"  # type: ignore[arg-type]


def test_an_error_of_the_environments_url_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTQUEUE_URL", "ftp://u:secret@h")
    with pytest.raises(ConfigError, match=r"^\$HOTQUEUE_URL: unknown store URL 'ftp://\*\*\*@h'"):
        resolve()


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes a redis\.Redis or redis\.RedisCluster client, not 'redis://h'"):
        resolve(client="redis://h")
    with pytest.raises(ConfigError, match="takes a synchronous client"):
        resolve(client=redis.asyncio.Redis())


def test_durability_is_one_of_two() -> None:
    assert resolve(dbfilename="/x.rdb", durability="always").durability == "always"
    with pytest.raises(ConfigError, match="durability is"):
        resolve(durability="never")
