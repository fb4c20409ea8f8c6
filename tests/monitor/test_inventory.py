"""What a store holds is counted as a queue itself counts it, and a name without a trace is said to be one."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import ConnectionFailed, HotQueue, keys
from hotqueue.errors import ConfigError
from hotqueue.monitor import inventory
from hotqueue.tasks.broker import many_queues

MakeQueue = Callable[..., HotQueue]


def test_waiting_messages_and_tasks_are_counted_whatever_they_wait_for(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue()
    assert inventory.length(queue._store, queue_name) == inventory.Length(queue_name, 0, 0)
    queue.put("a", "b", "c")
    queue.submit(print)
    queue.task(name="later")(print).apply_async(countdown=60)
    found = inventory.length(queue._store, queue_name)
    assert (found.messages, found.tasks, found.items, found.suspects) == (3, queue.pending(), 5, 0)
    assert (found.scheduled, found.running, found.dead, found.workers) == (1, 0, 0, 0)
    assert queue_name in inventory.queue_names(queue._store)


@pytest.mark.servers("server")
def test_millions_of_results_are_never_all_in_memory(make_queue: MakeQueue, queue_name: str) -> None:
    store = make_queue()._store
    results = [keys.result(queue_name, f"{n:040}") for n in range(30_000)]
    for start in range(0, len(results), 1000):
        store.client().mset(dict.fromkeys(results[start : start + 1000], "x"))
    assert queue_name in inventory.queue_names(store)  # whatever it imports
    for names in (inventory.queue_names, many_queues.in_use):
        tracemalloc.start()
        assert queue_name in names(store)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000  # a list of them takes four megabytes
    store.client().unlink(*results)


@pytest.mark.servers("server")
def test_others_have_their_turn_while_many_keys_are_looked_at(make_queue: MakeQueue, queue_name: str) -> None:
    store, rests = make_queue()._store, list[int]()
    results = [keys.result(queue_name, f"{n:040}") for n in range(2 * inventory.BETWEEN_RESTS)]
    store.client().mset(dict.fromkeys(results, "x"))
    assert queue_name in inventory.queue_names(store, rest=lambda: rests.append(1))
    assert inventory.meant(store, [f"{queue_name[:-1]}*"], rest=lambda: rests.append(1))[0] == [queue_name]
    assert len(rests) >= 4
    store.client().unlink(*results)


def test_a_name_without_a_trace_may_be_misspelt(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue()
    queue.put("a")
    missing = f"{queue_name}x"
    (said,) = inventory.doubts(queue._store, [queue_name, missing])
    assert said.startswith(f"there is no trace of a queue {missing!r} in {queue._store} (an empty one may leave none)")
    assert f"did you mean {queue_name!r}?" in said
    assert inventory.doubts(queue._store, []) == []


def test_no_doubt_is_said_where_the_store_cannot_list_its_queues() -> None:
    store = HotQueue("q", url="redis://127.0.0.1:1", patience=0.1)._store
    assert inventory.doubts(store, ["q"]) == []
    with pytest.raises(ConnectionFailed):
        inventory.queue_names(store)


def test_the_server_says_its_name_and_version(make_queue: MakeQueue) -> None:
    assert re.fullmatch(r"(Redis|Valkey) \d+\.\d+\.\d+", inventory.server_version(make_queue()._store))


def test_a_name_that_no_queue_has_is_refused(make_queue: MakeQueue) -> None:
    wrong: Any = "{a}"
    with pytest.raises(ConfigError):
        inventory.length(make_queue()._store, wrong)
