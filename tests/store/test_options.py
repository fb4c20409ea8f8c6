"""Keywords of redis clients: an unknown one names the nearest, a wrong value is refused where it is given."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.errors import ConfigError
from hotqueue.store.resolve import resolve


@pytest.mark.parametrize(
    ("option", "near"),
    [("hots", "host"), ("passwrod", "password"), ("dbfilname", "dbfilename"), ("max_length", "max_queue_length")],
)
def test_an_unknown_option_names_the_nearest(option: str, near: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option '{option}'; did you mean '{near}'"):
        resolve(options={option: 1})


@pytest.mark.parametrize("where", [{}, {"url": "redis://localhost:1"}, {"dbfilename": ":memory:"}], ids=str)
def test_an_option_that_is_to_come_says_what_to_do_until_then(where: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as caught:
        HotQueue("clicks", partitions=16, **where)
    assert str(caught.value).startswith("HotQueue does not take partitions= yet: a queue is on one server")
    assert "several queues, as docs/performance.md shows" in str(caught.value)


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


def test_any_keyword_of_redis_is_known() -> None:
    assert resolve(options={"encoding": "latin-1", "retry_on_error": []}).kind == "server"
