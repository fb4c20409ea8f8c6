"""Copies of queues whose results are owned: in a copy they are there as long as who owns them, and not longer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.settlement import Settlement
from hotqueue.transfer import copying
from tests.support.durations import take_time
from tests.support.embedded_users import private_folder, short_folder
from tests.support.servers import RedisServer
from tests.tasks.contents import sync

__all__ = ["private_folder", "short_folder"]  # fixtures
HOUR = 3_600_000


def opened(place: str) -> Store:
    return Store(resolve(url=place) if "://" in place else resolve(dbfilename=place))


class Steps:
    """A worker of queue q at some place."""

    def __init__(self, place: str) -> None:
        self.store = opened(place)
        self.broker = Broker(self.store, "q")
        self.session = Session(self.broker, "w", "s")
        self.session.register(60_000, {"host": "h"})

    def own(self, owner: str, *ids: str) -> None:
        """Send an owner and what it owns, whose results come."""
        self.broker.enqueue([Encoded(each, "", "", sync(each).encode()) for each in (owner, *ids)])
        self.broker.own(owner, ids)
        self.session.step(len(ids) + 1)
        self.end(*ids)

    def end(self, *ids: str) -> None:
        self.session.settle([Settlement(each, "*", "S", b"end of " + each.encode(), HOUR, "") for each in ids])


def is_right(place: str) -> int:
    """Return how many results are owned at a place, each of which is there for good, as no other is."""
    with contextlib.closing(opened(place)) as store:
        client = store.client()
        entries = {field.decode(): value for field, value in client.hgetall(keys.owned("q")).items()}
        owned = {field for field, value in entries.items() if field[0] != "\n" and value.split()[1].isdigit()}  # and have ended
        owners = {field.split("\n")[1] for field in entries if field[0] == "\n"}
        assert owners <= {each.decode() for each in client.hkeys(keys.tasks("q"))}
        results = {each.decode().rpartition(":")[2]: client.pttl(each) for each in client.scan_iter("*:result:*")}
        assert {task_id for task_id, left in results.items() if left == -1} == owned
        return len(owned)


@pytest.mark.parametrize("to", ["server", "file"])
def test_what_is_owned_is_there_in_a_copy_and_goes_with_its_owner(
    to: str, tmp_path: Path, private_folder: Path, start_redis: Callable[..., RedisServer]
) -> None:
    source, there = start_redis().url, start_redis().url if to == "server" else str(tmp_path / "copy.rdb")
    steps = Steps(source)
    steps.own("owner", "in0", "in1")
    steps.own("over", "in2")
    steps.end("over")
    copying.export(source, there)
    assert is_right(there) == 2
    steps.own("later", "in3")
    copying.export(source, there, replace=True)
    assert is_right(there) == 3
    steps.end("owner", "later")
    copying.export(source, there, replace=True)
    assert is_right(there) == 0


def test_a_copy_of_a_queue_in_use_has_what_is_owned_at_that_moment(
    tmp_path: Path, private_folder: Path, start_redis: Callable[..., RedisServer]
) -> None:
    """An owner that ends while its queue is copied takes nothing away from the one in the copy."""
    source = start_redis().url
    is_over, is_busy = threading.Event(), threading.Event()

    def work() -> None:
        steps, number = Steps(source), 0
        while not is_over.is_set():
            steps.own(f"owner{number}", *(f"in{number}-{n}" for n in range(5)))
            if number >= 10:
                steps.end(f"owner{number - 10}")
                is_busy.set()
            number += 1
            take_time(0.02)  # so that copying can keep up

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert is_busy.wait(30)
        for turn in range(3):
            there = str(tmp_path / f"copy{turn}.rdb")
            copying.export(source, there)
            assert 0 < is_right(there) <= 60
    finally:
        is_over.set()
        thread.join()
