"""A walk through all keys of a store, some at a time."""

from __future__ import annotations

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.store.resolve import resolve
from hotqueue.store.scanning import Scan
from hotqueue.store.store import Store


def test_all_keys_that_match_are_found_in_steps(store: Store, queue_name: str) -> None:
    keys = {f"{queue_name}-{n}" for n in range(300)}
    for key in keys:
        store.command(key, "SET", key, "1", "EX", "60")
    scan, found, steps = Scan(store, f"{queue_name}-*", 10), set[bytes](), 0
    while not scan.is_over:
        found.update(scan.step())
        steps += 1
    assert {key.decode() for key in found} == keys
    assert steps > 3
    assert scan.step() == []
    for key in keys:
        store.command(key, "DEL", key)


@pytest.mark.servers("server")
def test_a_server_that_is_away() -> None:
    with pytest.raises(ConnectionFailed, match="listing keys"):
        Scan(Store(resolve(url="redis://127.0.0.1:1/0")), "*", 10).step()
