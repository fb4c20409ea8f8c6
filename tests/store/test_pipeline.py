"""Several commands in one trip: what is wrong with one is no error of the others."""

from __future__ import annotations

import pytest

from hotqueue.errors import ConfigError, ConnectionFailed
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.stores import NOBODY, script

PUSH = script("return redis.call('RPUSH', KEYS[1], ARGV[1])")


@pytest.fixture
def keys(store: Store, key: str) -> list[str]:
    """Keys of one server, the second of which holds what no list is."""
    found = [f"{{{key}}}:{number}" for number in range(4)]
    store.command(found[1], "SET", found[1], "x", "EX", 60)
    return found


def test_the_calls_of_a_script_are_answered_one_by_one(store: Store, keys: list[str]) -> None:
    calls = [([key], [b"a"]) for key in keys]
    for expected in (1, 2):
        first, wrong, *rest = pipeline.run_all(store, PUSH, calls, "pushing")
        assert [first, *rest] == [expected] * 3
        assert isinstance(wrong, ConfigError)
        assert "pushing" in str(wrong)
        assert f"{keys[1]} holds a string" in str(wrong) or "WRONGTYPE" in str(wrong)
    store.command(keys[0], "DEL", *keys)


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_all_are_run_however_many_go_at_once(store: Store, key: str, at_once: int) -> None:
    calls = [([f"{{{key}}}:list"], [b"%d" % number]) for number in range(7)]
    assert pipeline.run_all(store, PUSH, calls, "pushing", at_once=at_once) == [1, 2, 3, 4, 5, 6, 7]
    store.command(f"{{{key}}}:list", "DEL", f"{{{key}}}:list")
    assert pipeline.run_all(store, PUSH, [], "pushing") == []


def test_commands_are_answered_one_by_one(store: Store, keys: list[str]) -> None:
    found = pipeline.ask_all(store, [("TYPE", keys[1]), ("LLEN", keys[1]), ("LLEN", keys[0])], "looking")
    assert (found[0], found[2]) == (b"string", 0)
    assert isinstance(found[1], ConfigError)
    store.command(keys[1], "DEL", keys[1])


def test_an_outage_is_raised() -> None:
    with pytest.raises(ConnectionFailed):
        pipeline.ask_all(Store(parse(NOBODY)), [("LLEN", "k")], "looking")
    with pytest.raises(ConnectionFailed):
        pipeline.run_all(Store(parse(NOBODY)), PUSH, [(["k"], [b"a"])], "pushing")
