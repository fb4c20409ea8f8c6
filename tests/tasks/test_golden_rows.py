"""Rows of every schema, as the version of that schema left them, are brought to their ends: by today's version, and by the next
one, at a queue that has been taken up meanwhile. See tests/golden/README.md.

Of this kind: every form that a row of an unfinished task can have. What ended tasks leave: tests/test_moved.py.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from tests.golden import make_rows
from tests.support import leaks, next_version
from tests.support.processes import ROOT, run_python

GOLDEN = ROOT / "tests" / "golden"
FILES = sorted(GOLDEN.glob("schema-*/rows"))
WRITE = {b"string": "SET", b"list": "RPUSH", b"set": "SADD", b"hash": "HSET", b"zset": "ZADD"}
FINISH = """
import json, sys
from hotqueue import HotQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.relay import relay
from tests.golden import make_rows
from tests.support.waiting import wait_until

queue = HotQueue(make_rows.NAME, dbfilename=sys.argv[1])
broker, ask = Broker(queue._store, queue.name), queue._store.command
if sys.argv[2] == "upgrade":
    assert broker.upgrade().now == keys.SCHEMA
for worker in ask(queue.key, "ZRANGE", keys.workers(queue.name), 0, -1):
    broker.reap(worker.decode(), known_dead=True)
target, source = (HotQueue(name, dbfilename=sys.argv[1]) for name in (make_rows.TARGET, make_rows.SOURCE))
for each in (queue, target):
    make_rows.define(each)
schedules = {each.name: each for each in queue.schedules()}
told = {name: [each.when, each.tz, each.task, each.is_paused] for name, each in schedules.items()}
for name, each in schedules.items():
    triggered = each.trigger()
    queue.run_worker(burst=True)
    told[name].append(triggered.get(30))
    each.remove()
assert queue.run_worker(burst=True) == 0, "what is paused ran"
queue.resume(key="c")
queue.resume(task="golden.paused")
assert relay(Broker(queue._store, source.name)) == 0, "a task came twice"
for each in (queue, target):
    wait_until(lambda: each.run_worker(burst=True) == 0 and ask(each.key, "HLEN", keys.tasks(each.name)) == 0, 60)
    relay(broker)
broker.let_go()
print(json.dumps(told))
print(json.dumps({name: [at.result(id).state, repr(at.result(id).get(5, propagate=False))[:60]]
                  for name, id in json.load(sys.stdin).items()
                  for at in [target if name.startswith("posted") else queue]}))
"""
GONE = (
    "tasks",
    "attempts",
    "ready",
    "suspects",
    "scheduled",
    "expiring",
    "needs",
    "held:",
    "workers",
    "worker:",
    "lane",
    "slots",
)
GONE_TOO = (
    "blocked",
    "gated",
    "parked:",
    "revoked",
    "waiters",
    "owned",
    "large",
    "outbox",
    "posted:",
    "received:",
    "turns",
    "timers",
    "schedules",
    "unique",
)  # control: by the next sweep of a supervisor


def load(file: Path, queue: HotQueue) -> dict[str, str]:
    """Write rows into the store of a queue; return the ids of their tasks."""
    found = pickle.loads(file.read_bytes())
    for key, (kind, value) in found["keys"].items():
        if kind == b"zset":
            value = [part for member, score in zip(value[::2], value[1::2], strict=True) for part in (score, member)]
        queue._store.command(key, WRITE[kind], key, *([value] if kind == b"string" else value))
    ids: dict[str, str] = found["ids"]
    return ids


def test_there_are_rows_of_every_schema() -> None:
    assert [file.parent.name for file in FILES] == [f"schema-{number}" for number in range(1, keys.SCHEMA + 1)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("version", ["today", "the next, at its schema"])
def test_all_is_brought_to_its_end(file: Path, version: str, tmp_path: Path, next_folder: Path) -> None:
    place = tmp_path / "q.rdb"
    with HotQueue(make_rows.NAME, dbfilename=place) as queue:
        ids = load(file, queue)
        env = {"PYTHONPATH": str(ROOT)}
        args: tuple[Any, ...] = (place, "") if version == "today" else (place, "upgrade")
        env = env if version == "today" else next_version.environment(next_folder, env)
        said = run_python(FINISH, *args, env=env, input=json.dumps(ids), timeout=120).stdout.splitlines()
        schedules, told = map(json.loads, said)
        assert schedules == {
            "cron": ["30 4 1 1 *", "Europe/Paris", "golden.echo", False, "by cron"],
            "seconds": [9e6, "UTC", "golden.echo", False, "each"],
            "paused": ["0 0 1 1 *", "UTC", "golden.echo", True, "not yet"],
        }
        states = {name: state for name, (state, _) in told.items()}
        dead = {"dead": "FAILURE", "dead too": "FAILURE", "held and revoked": "REVOKED", "owner that ended": "REVOKED"}
        dead |= {"dead and unique": "FAILURE"}
        # Its result was owned; let go of, it stays for what is left of an hour from when the rows were made.
        assert states.pop("value") in ("SUCCESS", "UNKNOWN")
        assert states == {**dict.fromkeys(ids.keys() - {"value"}, "SUCCESS"), **dead}
        assert told["waits"][1] == "'waits'"
        assert told["held 3"][1] == "'held 3'"
        left = {key.partition("}:")[2] for key in leaks.keys_of(queue._store.client(), queue.name)}
        assert [thing for thing in left if thing.startswith((*GONE, *GONE_TOO))] == []
        assert len(list(queue.dead())) == 3 if version == "today" else "dead" in left
