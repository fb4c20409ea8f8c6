"""Keys: that all keys of a queue are in one slot and lead back to it. What a queue's name may be: test_names.py.

Partitions are decided and not built (docs/decisions/0047). What their keys will be is held here: that they collide with nothing,
that what reads keys today takes them for none of its own, and that they lie on all nodes of a Cluster.
"""

from __future__ import annotations

import inspect
import itertools
import string
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from redis.crc import key_slot

from hotqueue import keys

OF_A_QUEUE = [
    function
    for name, function in vars(keys).items()
    if inspect.isfunction(function)
    and not name.startswith("_")
    and name != "check_name"
    and next(iter(inspect.signature(function).parameters)) == "name"
]


@pytest.mark.parametrize("function", OF_A_QUEUE, ids=lambda function: function.__name__)
def test_every_key_of_a_queue_is_in_its_slot_and_names_it(function: Callable[..., str]) -> None:
    key = function("my:queue", *("x" for _ in list(inspect.signature(function).parameters)[1:]))
    assert keys.name_of(key) == "my:queue"
    assert key_slot(key.encode()) == key_slot(keys.queue("my:queue").encode())


def test_every_key_is_of_its_own() -> None:
    made = [function("q", *("x" for _ in list(inspect.signature(function).parameters)[1:])) for function in OF_A_QUEUE]
    assert len(set(made)) == len(made) > 20


# --- partitions, as they are to be ---------------------------------------------------------------------------------------

NAMES = ["clicks", "mail", "a", "tenant-17", "Grüße: 1/2 *", "mail:2024:1", "0:clicks", "3:clicks", "x" * 200]
BLOCK = 64  # slots: of 256 blocks of them, the partitions of a queue are in those that lie as far apart as they can


def tags_of(name: str, partitions: int) -> list[str]:
    """Return what is to stand in braces in the keys of each partition of a queue."""
    own = _block(keys.queue(name))
    return [_tag(name, number, (own + int(f"{number:08b}"[::-1], 2)) % 256) for number in range(partitions)]


def _tag(name: str, number: int, block: int) -> str:
    tags = (f"hotqueue/{number}{salt}:{name}" for salt in _salts())
    return next(tag for tag in tags if _block(tag) == block)


def _block(key: str) -> int:
    return int(key_slot(keys.raw(key))) // BLOCK


def _salts() -> Iterator[str]:
    for length in itertools.count():
        yield from ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=length))


@pytest.mark.parametrize("name", NAMES)
def test_no_queue_has_the_key_of_a_partition(name: str) -> None:
    assert keys.check_name(name)
    partitions = {made for tag in tags_of(name, 16) for made in (tag, f"{{{tag}}}:tasks", f"{{{tag}}}:result:x")}
    others = [*NAMES, *(tag for tag in tags_of(name, 16)), *(tag.removeprefix("hotqueue") for tag in tags_of(name, 16))]
    for other in others:
        keys.check_name(other)
        assert not partitions & {keys.queue(other), keys.tasks(other), keys.result(other, "x")}


@pytest.mark.parametrize("name", NAMES)
def test_the_keys_of_a_partition_are_taken_for_no_queues(name: str) -> None:
    for tag in tags_of(name, 16):
        for made in (f"{{{tag}}}:tasks", f"{{{tag}}}:ready", f"{{{tag}}}:result:x"):
            assert keys.name_of(made) == ""
            assert keys.PREFIX not in made.partition(name)[0]  # what is scanned for


@pytest.mark.parametrize("nodes", [3, 4, 5, 6, 8, 12])
@pytest.mark.parametrize("name", NAMES)
def test_sixteen_partitions_lie_on_the_nodes_of_a_cluster_as_evenly_as_they_can(name: str, nodes: int) -> None:
    slots = [key_slot(keys.raw(tag)) for tag in tags_of(name, 16)]
    on_each = Counter(slot * nodes // 16384 for slot in slots)
    assert len(on_each) == nodes
    assert max(on_each.values()) - min(on_each.values()) <= 1


def test_a_partition_stays_where_it_is_when_there_are_more_of_them() -> None:
    assert tags_of("clicks", 32)[:16] == tags_of("clicks", 16)
    assert tags_of("clicks", 4) == ["hotqueue/0rm:clicks", "hotqueue/1v:clicks", "hotqueue/2dl:clicks", "hotqueue/3dh:clicks"]
