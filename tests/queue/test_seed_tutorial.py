"""The seed tutorial, line by line, in Python 3 spelling: the oldest part of the contract."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue
from tests.support.processes import run_command, run_python
from tests.support.waiting import wait_until

WORKER = """
import sys
from hotqueue import HotQueue

queue = HotQueue("myqueue", dbfilename=sys.argv[1])

@queue.worker
def square(num):
    print(num * num, flush=True)

square()
"""


@pytest.fixture
def rdb(tmp_path: Path) -> str:
    return str(tmp_path / "redis.rdb")


@pytest.fixture
def queue(rdb: str) -> Iterator[HotQueue]:
    with HotQueue("myqueue", dbfilename=rdb) as opened:
        yield opened


def is_idle(queue: HotQueue) -> bool:
    return not len(queue) and not list(queue._store.client().scan_iter(match="*:consuming:*"))


def test_connecting(queue: HotQueue) -> None:
    queue.put(1)
    assert queue._store.command("k", "LLEN", "hotqueue:myqueue") == 1  # a Redis list named hotqueue:myqueue


def test_putting_and_getting(queue: HotQueue) -> None:
    queue.put(4)
    queue.put(5)
    queue.put(6, "my message", 7)
    queue.put(Decimal("1.4"))
    assert queue.get() == 4
    assert queue.get() == 5
    assert queue.get() == 6
    assert queue.get() == "my message"
    assert queue.get() == 7
    dec = queue.get()
    assert repr(dec) == "Decimal('1.4')"
    assert dec + Decimal("0.3") == Decimal("1.7")


def test_putting_in_one_program_and_getting_in_another(queue: HotQueue, rdb: str) -> None:
    queue.put(4)
    code = "import sys; from hotqueue import HotQueue; print(HotQueue('myqueue', dbfilename=sys.argv[1]).get())"
    assert run_python(code, rdb).stdout == "4\n"


def test_consuming_blocks_until_another_program_puts(queue: HotQueue, rdb: str, start_python: Any) -> None:
    code = """
import sys
from hotqueue import HotQueue
queue = HotQueue("myqueue", dbfilename=sys.argv[1])
for item in queue.consume():
    print(item, flush=True)
"""
    consumer = start_python(code, rdb)
    for item in ("one", 2, [3]):
        queue.put(item)
        assert consumer.stdout.readline() == f"{item}\n"
    wait_until(lambda: is_idle(queue))
    consumer.send_signal(signal.SIGINT)  # it waits indefinitely for another
    assert consumer.communicate(timeout=30) == ("", "")


def test_two_workers_share_the_messages(queue: HotQueue, rdb: str, start_python: Callable[..., subprocess.Popen[str]]) -> None:
    workers = [start_python(WORKER, rdb), start_python(WORKER, rdb)]
    queue.put(2, 3, 4)
    queue.put(*range(5, 100))
    wait_until(lambda: queue._store.client().zcard("{hotqueue:myqueue}:consumers") == 2)
    wait_until(lambda: is_idle(queue))
    printed: list[int] = []
    for worker in workers:
        worker.send_signal(signal.SIGINT)
        out, err = worker.communicate(timeout=30)
        assert err == ""
        printed += map(int, out.split())
    assert sorted(printed) == [num * num for num in range(2, 100)]  # no two workers received the same message


def test_json(rdb: str) -> None:
    with HotQueue("myqueue", serializer=json, dbfilename=rdb) as queue:
        queue.put({"name": "Richard Henry", "eyes": "blue"})
        assert queue.get() == {"name": "Richard Henry", "eyes": "blue"}


def test_a_serializer_of_ones_own(rdb: str) -> None:
    class DummySerializer:
        """Serialization class that doesn't do anything."""

        @staticmethod
        def dumps(obj: Any) -> Any:
            return obj

        @staticmethod
        def loads(data: Any) -> Any:
            return data

    with HotQueue("myqueue", serializer=DummySerializer, dbfilename=rdb) as queue:
        queue.put("as it is")
        assert queue.get() == "as it is"


def test_no_serialization(rdb: str) -> None:
    with HotQueue("myqueue", serializer=None, dbfilename=rdb) as queue:
        queue.put("my,csv,data")
        assert queue.get() == "my,csv,data"


def test_monitoring(queue: HotQueue, rdb: str) -> None:
    queue.put(1, 2)
    watched = run_command("hotwatch", "myqueue", "otherqueue", "--dbfilename", rdb, check=True)
    assert watched.stdout.splitlines() == ["myqueue: 2 items", "otherqueue: 0 items"]


def test_the_file_is_optional(tmp_path: Path) -> None:
    code = "from hotqueue import HotQueue; queue = HotQueue('myqueue'); queue.put(4); print(queue.get())"
    assert run_python(code, env={"HOME": str(tmp_path), "XDG_STATE_HOME": ""}).stdout == "4\n"
