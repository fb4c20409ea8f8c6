"""Writes what the hotqueue that is installed stores: pickles, and all that a queue has in Redis. See README.md.

    python tests/golden/make.py FOLDER

Uses public names alone, those that 7f0478a had, but for `store_of`: one script serves every version.
"""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hotqueue
from hotqueue import HotQueue
from hotqueue import tasks as public

AWAY = "redis://:secret@queues.example:6380/2"
SECRETS = {"plain": None, "signed": "golden secret"}  # by what the stored queues are called
PYTHON = (3, 11)  # what goes by value is run by the Python that made it
HOME = {"HOME": "/home/somebody", "XDG_STATE_HOME": "/home/somebody/state"}  # of whoever has the default database file


def queues() -> dict[str, HotQueue]:
    """Return queues of every kind of address, by what they are; none of them is connected."""
    sentinel = "redis+sentinel://a.example:26379,b.example:26379/mymaster/1"
    return {
        "default": HotQueue("orders"),
        "file": HotQueue("orders", dbfilename="/var/lib/shop/queue.rdb", durability="always"),
        "url": HotQueue("orders", url=AWAY),
        "options": HotQueue("orders", host="queues.example", port=6380, db=2, password="secret", socket_timeout=7),
        "socket": HotQueue("orders", url="unix:///run/redis.sock?db=3"),
        "sentinel": HotQueue("orders", url=sentinel),
        "cluster": HotQueue("orders", url="redis+cluster://a.example:7000,b.example:7001"),
        "secret": HotQueue("orders", url=AWAY, secret_key="golden secret"),
        "settings": HotQueue("orders", json, None, 5, url=AWAY),
        "text": HotQueue("orders", None, url=AWAY),
    }


def errors() -> dict[str, BaseException]:
    """Return one instance of each error of the version that runs, which is made of one text or as said here."""
    special = {
        "ConnectionFailed": hotqueue.ConnectionFailed("gone", retry=False, sent=False),
        "RemoteError": hotqueue.RemoteError("shop.PaymentError", "no money", "Traceback …"),
    }
    kinds = {name: getattr(hotqueue, name) for name in hotqueue.__all__}
    names = [n for n, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseException) and n != "Retry"]
    return {name: special.get(name) or getattr(hotqueue, name)("said") for name in names}


def objects() -> dict[str, Any]:
    """Return what a user can pickle, by name."""
    queue = HotQueue("orders", url=AWAY)
    first, second = queue.result("a" * 32), queue.result("b" * 32)
    return {
        **{f"queue {name}": queue for name, queue in queues().items()},
        **{f"error {name}": error for name, error in errors().items()},
        "result": first,
        "result set": public.ResultSet([first, second]),
        "task": queue.task(retries=2, priority=5, name="root")(math.sqrt),
        "state": public.State.PENDING,
        "current_task": public.current_task,
        "key_for_name": hotqueue.key_for_name,
        "classes": [value for value in map(vars(hotqueue).get, hotqueue.__all__) if isinstance(value, type)],
    }


def fail(how: str) -> None:
    """Fail in one of several ways."""
    if how == "key":
        raise KeyError("no such order")
    if how == "ours":
        raise hotqueue.ConfigError("not set up")
    if how == "chained":
        try:
            raise OSError(28, "no space", "/data")
        except OSError as error:
            raise hotqueue.QueueFull("is full") from error
    raise hotqueue.Reject("bad order")


def echo(value: Any, again: int = 1) -> list[Any]:
    """Return a value, several times."""
    return [value] * again


def define(queue: HotQueue) -> dict[str, Any]:
    """Return the tasks of the stored queue, by what they do; they go by name."""
    return {
        "echo": queue.task(name="golden.echo")(echo),
        "fail": queue.task(name="golden.fail", max_retries=0)(fail),
    }


def store_of(queue: HotQueue) -> Any:
    """Return where a queue lives, by the name that the version has for it."""
    return queue._store if hasattr(queue, "_store") else queue.store  # type: ignore[attr-defined]


def fill(queue: HotQueue) -> dict[str, str]:
    """Have a queue hold tasks that ended, in every way, tasks that wait, and messages; return the tasks' ids."""
    tasks = define(queue)
    other = HotQueue("orders", url=AWAY)
    sent = {
        "value": tasks["echo"].delay({"id": 7}, again=2),
        "handles": tasks["echo"].delay([other, other.result("a" * 32), hotqueue.ConfigError("as a value")]),
        **{how: tasks["fail"].delay(how) for how in ("key", "ours", "chained", "rejected")},
        "sent by value": queue.submit(math.factorial, 5),
    }
    junk = tasks["echo"].delay("junk")
    tag = "{hotqueue:" + queue.name + "}:"
    store_of(queue).command(tag + "tasks", "HSET", tag + "tasks", junk.id, b"no envelope")
    queue.run_worker(burst=True)
    waiting = {
        "waits": tasks["echo"].delay({"id": 8}, again=3),
        "waits with handles": tasks["echo"].delay((other, other.result("a" * 32))),
        "waits with options": tasks["echo"].apply_async(("x",), priority=7, expires=9e8, headers={"trace": "t1"}),
        "waits by value": queue.submit(math.factorial, 6),
        "waits for its time": tasks["echo"].apply_async(("later",), countdown=9e8),
    }
    queue.put("first", {"second": 2})
    return {name: result.id for name, result in {**sent, "junk": junk, **waiting}.items()}


READ: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda ask, key: ask("GET", key),
    b"list": lambda ask, key: ask("LRANGE", key, 0, -1),
    b"set": lambda ask, key: sorted(ask("SMEMBERS", key)),
    b"hash": lambda ask, key: ask("HGETALL", key),
    b"zset": lambda ask, key: ask("ZRANGE", key, 0, -1, "WITHSCORES"),
}


def contents(queue: HotQueue) -> dict[bytes, tuple[bytes, Any]]:
    """Return all keys of the store of a queue: what kind of value each has, and the value."""
    found = {}
    for key in sorted(store_of(queue).command(queue.key, "KEYS", "*hotqueue:*")):
        ask = functools.partial(store_of(queue).command, key)
        kind = ask("TYPE", key)
        found[key] = (
            kind if isinstance(kind, bytes) else kind.encode(),
            READ[bytes(kind) if isinstance(kind, bytes) else kind.encode()](ask, key),
        )
    return found


def main(folder: Path) -> None:
    """Write the files."""
    os.environ |= HOME
    folder.mkdir(parents=True, exist_ok=True)
    pickled = {name: pickle.dumps(value, 5) for name, value in objects().items()}
    (folder / "pickles").write_bytes(pickle.dumps(pickled, 5))
    for name, secret in SECRETS.items():
        with tempfile.TemporaryDirectory() as place, HotQueue("golden", dbfilename=f"{place}/q.rdb", secret_key=secret) as queue:
            ids = fill(queue)
            stored = {
                "ids": ids,
                "keys": contents(queue),
                "dead": pickle.dumps(sorted(queue.dead(), key=lambda dead: dead.id), 5),
            }
        (folder / f"queue-{name}").write_bytes(pickle.dumps(stored, 5))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
