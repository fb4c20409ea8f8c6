"""Store: commands and scripts on every kind of server; made for nothing, pickled, closed and used again."""

from __future__ import annotations

import asyncio
import pickle
import threading
from textwrap import dedent

from hotqueue.store.store import Store
from hotqueue.store.url import parse
from tests.support.processes import run_python
from tests.support.stores import NOBODY, script

# --- commands and scripts --------------------------------------------------------------------------------------------


def test_a_command_goes_to_the_server_of_its_key(store: Store, key: str) -> None:
    assert store.command(key, "RPUSH", key, b"\xff", "text", 5) == 3
    assert store.command(key, "LRANGE", key, 0, -1) == [b"\xff", b"text", b"5"]


def test_a_script_is_loaded_where_it_is_missing(store: Store, key: str) -> None:
    push = script("return redis.call('RPUSH', KEYS[1], ARGV[1])")
    assert [store.run(push, [key], [n]) for n in (1, 2)] == [1, 2]
    store.client().script_flush()
    assert store.run(push, [key], [3]) == 3

    async def use() -> None:
        store.client().script_flush()
        assert await store.arun(push, [key], [4]) == 4
        assert await store.arun(push, [key], [5]) == 5
        await store.aclose()

    asyncio.run(use())


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_store_can_be_pickled(store: Store, key: str) -> None:
    again = pickle.loads(pickle.dumps(store))
    assert str(again) == str(store)
    store.command(key, "SET", key, "x", "EX", 60)
    assert again.command(key, "GET", key) == b"x"
    again.close()


def test_one_that_is_never_used_costs_nothing() -> None:
    code = """
    import sys
    from hotqueue import HotQueue
    queue = HotQueue("q", url="redis://127.0.0.1:1/0")
    queue.task(print, name="p")
    queue.close()
    assert "redis" not in sys.modules, "redis was imported"
    assert "hotqueue.store.pool" not in sys.modules
    """
    run_python(dedent(code))


def test_threads_that_use_it_first_at_once_get_the_same_pool() -> None:
    store, gate, found = Store(parse(NOBODY)), threading.Barrier(8), []

    def use() -> None:
        gate.wait()
        found.append((store.pool, store.exchange))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {(store.pool, store.exchange)}
    assert len(found) == 8


def test_closed_it_connects_again(store: Store, key: str) -> None:
    store.command(key, "SET", key, "x", "EX", 60)
    store.close()
    store.close()
    assert store.command(key, "GETDEL", key) == b"x"
