"""Names with *, ?, [abc] in them: which queues they stand for; how a name with such a character is named itself.

Of this kind: whatever the shell, fnmatch and Redis read differently: [!a], a bracket that nothing closes, a backslash; what is
no range; characters of several bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue.errors import ConfigError
from hotqueue.tasks.rules import globs
from tests.support.servers import RedisServer

MATCHES = [
    ("tenant-*", "tenant-17", True),
    ("tenant-*", "tenant-", True),
    ("tenant-*", "tenant", False),
    ("tenant-*", "a-tenant-1", False),
    ("*", "anything: at\nall", True),
    ("a?c", "abc", True),
    ("a?c", "ac", False),
    ("a[bc]d", "acd", True),
    ("a[b-d]d", "acd", True),
    ("a[!b]d", "acd", True),
    ("a[!b]d", "abd", False),
    ("a[^b]d", "abd", False),
    ("a[b*", "a[bcd", True),
    ("a[b*", "abcd", False),
    (r"a\**", "a*b", True),
    (r"a\**", "abb", False),
    (r"*\\", "a\\", True),
    ("a.c*", "abc", False),
    ("ü-*", "ü-ß", True),
    ("a?c", "aüc", True),
    ("a[ü]c", "aüc", True),
    ("a[!x]c", "aüc", True),
    ("a[]]c", "a]c", True),
    ("a[^]c", "a^c", True),
    ("a[\\]c", "a\\c", True),
    ("a[-a]c", "a-c", True),
    ("a[a-]c", "a-c", True),
    ("a[+--]c", "a,c", True),
    ("a[a&&b]c", "a&c", True),
    ("a?[b]*c", "a\\bbc", True),
]


@pytest.mark.parametrize(("glob", "queue", "is_meant"), MATCHES)
def test_a_glob_stands_for_what_matches(glob: str, queue: str, is_meant: bool) -> None:
    assert globs.is_glob(glob)
    assert globs.matches(glob, queue) is is_meant


def test_redis_finds_at_least_what_matches(start_redis: Callable[..., RedisServer]) -> None:
    redis: Any = start_redis().client()
    for glob, queue, is_meant in MATCHES:
        redis.flushall()
        redis.set(queue, "1")
        assert not is_meant or list(redis.scan_iter(match=globs.in_redis(glob))), (glob, queue)


@pytest.mark.filterwarnings("error")
def test_whatever_is_in_brackets_is_read_or_refused() -> None:
    refused = []
    for inside in itertools.chain.from_iterable(itertools.product("a[]!^-\\", repeat=n) for n in (1, 2, 3, 4)):
        glob = f"x[{''.join(inside)}]"
        try:
            globs.check(glob, "-Q")
        except ConfigError as error:
            refused.append(str(error))
        else:
            assert not globs.matches(glob, "y")
    assert refused
    assert all("runs backwards; turn it round" in each for each in refused)


@pytest.mark.parametrize("name", ["mail", "a:b", "a[b", "a]", "a\\b", r"a\*", r"a\?\[b]", "ü"])
def test_other_names_are_one_queue(name: str) -> None:
    assert not globs.is_glob(name)


@pytest.mark.parametrize("queue", ["mail", "a*", "a[1]", "what?", "a\\b", "a\\*", "[", "a[b"])
def test_every_queue_can_be_named(queue: str) -> None:
    name = re.sub(r"[*?\[\]\\]", r"\\\g<0>", queue)
    assert not globs.is_glob(name)
    assert globs.literal(name) == queue


def test_a_queue_has_the_weight_of_its_own_name_before_that_of_the_first_glob() -> None:
    weights = {"tenant-*": 2, "*": 3, "tenant-1": 5, r"a\*": 7}
    found = [globs.weight_of(weights, queue) for queue in ("tenant-1", "tenant-2", "mail", "a*")]
    assert found == [5, 2, 3, 7]
    assert globs.weight_of({}, "mail") == globs.weight_of({"x*": 4}, "mail") == 1


@pytest.mark.parametrize(("glob", "name"), [("tenant-*", "tenant-"), ("a?[bc]*", "axb"), (r"a\**", "a*"), ("*", "")])
def test_an_example_looks_like_what_matches(glob: str, name: str) -> None:
    assert globs.example(glob) == name
