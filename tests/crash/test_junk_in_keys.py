"""Junk in any key of a queue: nothing ends, nobody else waits, and who asks is told what is wrong.

A fuzzer over all keys that keys.py knows: values of every other type, and of the right type with contents that nobody of ours
writes (random bytes, no UTF-8, numbers beyond any, nothing at all), all at once or one at a time, while a worker works at that
queue and at another, and clients ask about both. Of this kind is whatever is read from Redis and believed.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, HotQueueError, key_types, keys
from hotqueue.monitor import gates, inventory, one_task, schedules, workers, workflows
from hotqueue.monitor.filters import STATES
from hotqueue.monitor.tasks import Search
from tests.crash.workers import APPS, BANNER
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

NAME = "junk"
ROUNDS = int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1"))
NUMBERS = [b"0", b"-1", b"9" * 400, b"nan", b"inf", b"1e309"]
PIECES = [b"", b"\xff\xfe", b"{", b'{"a":', b"[]", b"null", b"\0", b"a b", b"\n", *NUMBERS]
TYPES = ["string", "list", "set", "zset", "hash", "stream"]
IDS = ["an-id", "", "\udcff", "x" * 300, "a\0b"]
WORKERS = ["gone-1-abcdef01", "\udcfe", "a/../../b", "w\0w"]


def every_key() -> list[str]:
    """Return keys of all sorts that a queue may have."""
    n = NAME
    single = [keys.raw(f"{{hotqueue:{n}}}:").decode() + thing.decode() for thing in key_types.SINGLE]
    of_ids = [make(n, each) for make in (keys.result, keys.progress, keys.log, keys.stream, keys.streamed) for each in IDS]
    of_workers = [make(n, each) for make in (keys.held, keys.worker, keys.consumer, keys.consuming) for each in WORKERS]
    return [keys.queue(n), *single, *of_ids, *of_workers, keys.parked(n, "task:x"), keys.parked(n, "\udcff"), keys.reply(n, "c")]


class Junk:
    """What a fuzzer writes, by a seed."""

    def __init__(self, redis: Any, seed: int) -> None:
        self._redis, self._random = redis, random.Random(seed)

    def piece(self) -> bytes:
        """Return some bytes, often an id or a worker that other keys have as well."""
        known = [keys.raw(each) for each in (*IDS, *WORKERS)]
        choice = self._random.random()
        if choice < 0.4:
            return self._random.choice(known)
        return self._random.choice(PIECES) if choice < 0.8 else self._random.randbytes(self._random.randrange(60))

    def score(self) -> float:
        """Return a score."""
        return self._random.choice([0.0, -1.0, 1e300, float("inf"), float("-inf"), 5.5, time.time() * 1000])

    def write(self, key: str, kind: str) -> None:
        """Put junk of one type in the place of a key."""
        raw, count = keys.raw(key), self._random.randrange(1, 6)
        self._redis.delete(raw)
        if kind == "string":
            self._redis.set(raw, self.piece())
        elif kind == "list":
            self._redis.rpush(raw, *[self.piece() for _ in range(count)])
        elif kind == "set":
            self._redis.sadd(raw, *[self.piece() for _ in range(count)])
        elif kind == "zset":
            self._redis.zadd(raw, {self.piece(): self.score() for _ in range(count)})
        elif kind == "hash":
            self._redis.hset(raw, mapping={self.piece(): self.piece() for _ in range(count)})
        else:
            self._redis.xadd(raw, {b"a": self.piece()})

    def write_all(self, share_of_right_types: float) -> None:
        """Put junk into all keys."""
        for key in every_key():
            right = key_types.type_of(key)
            is_right = right is not None and self._random.random() < share_of_right_types
            self.write(key, right if is_right and right else self._random.choice(TYPES))


def questions(queue: HotQueue, task: Any) -> list[Callable[[], object]]:
    """Return all that a client may ask of a queue and of tasks that may be in it."""
    results = [queue.result(keys.text(keys.raw(each))) for each in IDS if each]
    asked: list[Callable[[], object]] = [
        *(queue.pending, queue.running, queue.scheduled, queue.workers, lambda: list(queue.dead())),
        *(
            lambda: queue.retry_dead(all=True),
            lambda: queue.discard_dead(all=True),
            queue.undo_discard,
            queue.pause,
            queue.resume,
        ),
        *(lambda: len(queue), lambda: queue.get(), lambda: queue.put("x"), lambda: task.delay(1), lambda: task.map([1, 2])),
        lambda: task.apply_async((1,), countdown=5),
        lambda: inventory.length(queue._store, queue.name),
        *(lambda state=state: list(Search().rows(queue._store, [queue.name], [state])) for state in STATES),
        lambda: workers.workers(queue._store, [queue.name]),
        lambda: schedules.schedules(queue._store, [queue.name]),
        lambda: gates.look(queue._store, queue.name),
        lambda: [workflows.look(queue._store, queue.name, each) for each in workflows.recent(queue._store, queue.name)],
        lambda: workflows.look(queue._store, queue.name, "an-id"),
        *(lambda each=each: one_task.look(queue._store, queue.name, keys.text(keys.raw(each))) for each in IDS),
    ]
    for result in results:
        asked += [lambda r=result: r.get(timeout=0.05), lambda r=result: list(r.stream(timeout=0.05))]  # type: ignore[misc]
        asked += [lambda r=result: r.revoke(), lambda r=result: r.forget()]  # type: ignore[misc]
        asked += [
            lambda r=result, what=what: getattr(r, what) for what in ("state", "progress", "history", "retries", "date_done")
        ]  # type: ignore[misc]
    return asked


def named(queue: HotQueue, name: str) -> Any:
    """Return the task of that name, which the worker has; this process has only its name."""

    return task_by_name(queue, name)


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
def worker(server: RedisServer, start_command: Any, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker of both queues; what it said is shown when the test fails."""
    log = tmp_path / "worker.log"
    env = {"STORE": server.url, "PYTHONPATH": os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])}
    with open(log, "w") as file:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
        made = start_command("hotqueue-worker", "junk_tasks", "-p1", env=env, **pipes)
    wait_until(lambda: BANNER in log.read_text(), what="the worker is ready")
    yield made
    print(log.read_text()[-12000:])
    made.terminate()
    made.wait(30)


ORDER = keys.control("good")  # to stop a task; one for a task that does not exist goes with the next sweep


@pytest.mark.parametrize("seed", range(6 * ROUNDS))
def test_junk_in_all_keys_ends_nothing_and_holds_up_nobody(
    server: RedisServer, worker: subprocess.Popen[str], tmp_path: Path, seed: int
) -> None:
    redis = server.client()
    junk, good = HotQueue(NAME, url=server.url), HotQueue("good", url=server.url)
    quick, any_task = named(good, "quick"), named(junk, "any")
    assert quick.delay(1).get(30) == 1
    pid = int(good.workers()[0]["pid"])
    made = Junk(redis, seed)
    wrong: list[str] = []
    for round_ in range(3):
        made.write_all([0.0, 0.6, 1.0][(seed + round_) % 3])
        redis.hset(ORDER, "nobody", "stopped")
        for n, ask in enumerate(questions(junk, any_task)):
            try:
                ask()
            except HotQueueError:
                pass
            except Exception as error:  # the test is for these
                wrong.append(f"question {n}: {error!r}")
            if n % 10 == 0:
                began = time.monotonic()
                assert quick.delay(n).get(30) == n
                assert time.monotonic() - began < allowed(2)
        wait_until(lambda: not redis.exists(ORDER), what="the good queue is looked after")
        assert worker.poll() is None
    assert not wrong, "\n".join(sorted(set(wrong)))
    redis.delete(*[keys.raw(key) for key in every_key()])
    assert quick.delay(7).get(30) == 7
    assert any_task.delay(8).get(30) == 8
    assert int(good.workers()[0]["pid"]) == pid, "its process was not replaced"
    said = (tmp_path / "worker.log").read_text()
    assert said.count("Traceback") <= 3, "what is unforeseen is told once"
