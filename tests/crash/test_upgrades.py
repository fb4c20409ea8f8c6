"""Queues are taken to a higher schema while programs of both versions work with them: real processes of two versions.

Of this kind: whatever a program of an older version does at a newer queue. It is refused with one sentence, or touches nothing
but what it wrote itself; it reads no form that it does not know, takes nothing that it cannot run, and stands in nobody's way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import HotQueue, NewerQueue, keys
from hotqueue.store.resolve import resolve
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from tests.crash.test_silent_servers import named
from tests.crash.workers import APPS, Workers
from tests.support import next_version
from tests.support.durations import let_pass
from tests.support.processes import run_command, run_python, start_command, worker_processes
from tests.support.proxy import LOSE_REPLY, LOSE_REQUEST, SILENCE, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, holds_for, wait_until

OLD, NEW = keys.SCHEMA, next_version.SCHEMA
SAYS = f"has schema {NEW}, and the hotqueue of this program knows schemas up to {OLD}"


class Both(Workers):
    """A queue with workers, producers and commands of both versions."""

    def __init__(self, name: str, url: str, folder: Path, following: Path) -> None:
        super().__init__("schema_tasks", name, url, folder)
        self.following = following
        self.gate = folder / "gate"

    @property
    def next_env(self) -> dict[str, str]:
        """The environment of the next version."""
        return next_version.environment(self.following, self.env)

    def start_next(self, *args: object) -> Any:
        """Start a worker of the next version."""
        return self.start(*args, env=self.next_env)

    def kill_last(self) -> None:
        """Kill the worker that was started last, and its processes with it."""
        worker = self.workers.pop()
        worker.kill()
        worker.wait()

    def upgrade(self, *more: str) -> Any:
        """Have the next version take the queue up."""
        done = run_command("hotqueue", "upgrade", self.name, "-u", self._url, "--yes", "--json", *more, env=self.next_env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run_next(self, code: str, *args: object) -> Any:
        """Have a program of the next version do something with the tasks; return what it prints, from JSON."""
        return json.loads(run_python(f"import json, sys, schema_tasks as t\n{code}", *args, env=self.next_env).stdout or "null")

    def send_next(self, numbers: Iterable[int]) -> None:
        """Have a program of the next version send calls of `work`, some by themselves and some together."""
        one, *more = numbers
        self.run_next("t.work.delay(int(sys.argv[1])); t.work.map(map(int, sys.argv[2:]))", one, *more)

    def got_next(self, ids: Iterable[str]) -> Any:
        """Return the results of tasks, as a program of the next version gets them."""
        return self.run_next("print(json.dumps([t.queue.result(id).get(30) for id in sys.argv[1:]]))", *ids)

    def ran(self) -> dict[int, list[int]]:
        """Return by which schemas each task was run."""
        found: dict[int, list[int]] = {}
        for n, schema in self.noted():
            found.setdefault(int(n), []).append(int(schema))
        return found


@pytest.fixture
def both(queue_name: str, store_url: str, tmp_path: Path, next_folder: Path) -> Iterator[Both]:
    made = Both(queue_name, store_url, tmp_path, next_folder)
    yield made
    made.stop()
    print(made.said()[-5000:])


def test_workers_of_both_versions_through_an_upgrade(both: Both) -> None:
    """An old worker settles what it has in hand, says once why it waits, and takes nothing more; nothing is lost or run twice."""
    work, flaky = both.tasks.work, both.tasks.flaky
    old = both.start("-t2")
    held = [work.delay(0, str(both.gate)), flaky.delay(1, str(both.gate))]
    wait_until(lambda: both.ran().keys() == {0, 1}, what="the old worker has begun")
    waiting = [work.delay(n) for n in range(2, 10)]
    results = {result.id: n for n, result in enumerate([*held, *waiting])}
    assert both.upgrade() == [{"name": both.name, "before": OLD, "schema": NEW, "older_workers": 3}]
    for call in (lambda: work.delay(99), lambda: held[0].get(1), held[0].revoke, both.queue.pending):
        with pytest.raises(NewerQueue, match=SAYS):
            call()
    both.start_next()
    both.send_next(range(20, 40))
    both.run_next("t.awork.delay(40)")
    wait_until(lambda: both.ran().keys() >= {*range(10), *range(20, 41)}, what="the next version runs what waited")
    both.gate.touch()
    wait_until(lambda: both.unfinished() == 0, what="all has ended")
    assert both.got_next(results) == list(range(10))
    assert both.ran() == {0: [OLD], 1: [OLD, NEW], **{n: [NEW] for n in (*range(2, 10), *range(20, 41))}}
    wait_until(lambda: SAYS in both.said(), what="the old worker says so")
    old.send_signal(signal.SIGTERM)
    assert old.wait(10) == 0
    assert both.said().count(SAYS) == 1
    assert "Traceback" not in both.said()


@pytest.mark.servers("server")
def test_a_program_of_the_next_version_writes_todays_forms_until_the_queue_is_taken_up(both: Both) -> None:
    redis, held = both.redis, keys.held(both.name, "")
    both.start_next()

    def forms() -> set[bytes]:
        found = [record for key in redis.scan_iter(match=f"{held}*") for record in redis.hvals(key)]
        return {record[:1] for record in found}

    both.run_next("t.work.delay(0, sys.argv[1]); t.queue.tasks['schema_tasks.work'].map([1, 2])", both.gate)
    wait_until(lambda: 0 in both.ran() and forms(), what="the next version has begun")
    assert (forms(), redis.exists(keys.attempts(both.name))) == ({b"1"}, 0)
    both.gate.touch()
    wait_until(lambda: both.unfinished() == 0, what="all has ended")
    both.kill_last()
    both.gate.unlink()
    both.start()
    both.send_next([3, 4, 5])
    wait_until(lambda: both.unfinished() == 0, what="today's version runs what the next one sent")
    assert {n: both.ran()[n] for n in (3, 4, 5)} == {n: [OLD] for n in (3, 4, 5)}
    both.upgrade()
    both.start_next()
    both.run_next("t.work.delay(6, sys.argv[1])", both.gate)
    wait_until(lambda: 6 in both.ran() and forms(), what="the next version has begun")
    assert forms() == {b"2"}
    assert {value.decode() for value in redis.hvals(keys.attempts(both.name))} == {next_version.HISTORY}
    both.gate.touch()
    wait_until(lambda: both.unfinished() == 0, what="all has ended")


@pytest.mark.servers("server")
def test_an_old_worker_that_starts_at_a_newer_queue_waits_and_is_in_nobodys_way(both: Both) -> None:
    """It registers nothing, listens to no bell whose tokens are for others, and works on as soon as it may again."""
    both.upgrade()
    old = both.start(wait=False)
    wait_until(lambda: SAYS in both.said(), what="the old worker says why it waits")
    assert both.registered() == []
    both.start_next()

    def asleep() -> int:
        return sum("b" in client["flags"] for client in both.redis.client_list())

    wait_until(lambda: asleep() == 2, what="the sync and the async worker of the next version sleep, and nobody else")
    both.send_next(range(20))
    wait_until(lambda: both.unfinished() == 0, what="all has ended")
    assert both.ran() == {n: [NEW] for n in range(20)}
    holds_for(lambda: asleep() <= 2, 1.5)
    assert (old.poll(), both.said().count(SAYS), "Traceback" in both.said()) == (None, 1, False)
    both.kill_last()
    for key in both.redis.scan_iter(match=f"*{both.name}*"):  # as whoever deletes a queue
        both.redis.delete(key)
    assert both.tasks.work.delay(99).get(30) == 99
    assert both.ran()[99] == [OLD]


@pytest.mark.servers("server")
def test_what_an_old_worker_dies_with_is_run_by_the_next_version(both: Both) -> None:
    """By its supervisor when its process dies, by others when that dies too; what is kept of it stays."""
    old = both.start()
    both.tasks.work.delay(0, str(both.gate))
    wait_until(lambda: 0 in both.ran(), what="the old worker has begun")
    both.upgrade()
    both.start_next()
    os.kill(*worker_processes(old.pid), signal.SIGKILL)
    wait_until(lambda: both.ran()[0] == [OLD, NEW], what="the next version has begun")
    old.kill()
    both.gate.touch()
    wait_until(lambda: both.unfinished() == 0, what="it has ended")

    both.gate.unlink()
    both.redis.delete(*both.redis.keys(f"*{both.name}*"))
    old = both.start()
    both.tasks.work.delay(1, str(both.gate))
    wait_until(lambda: 1 in both.ran(), what="an old worker has begun")
    both.upgrade()
    for pid in (*worker_processes(old.pid), old.pid):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: NEW in both.ran()[1], what="the next version has begun")
    both.gate.touch()
    wait_until(lambda: both.unfinished() == 0, what="it has ended")


@pytest.mark.parametrize("kind", [SILENCE, LOSE_REQUEST, LOSE_REPLY])
@pytest.mark.parametrize("step", range(3))
def test_an_upgrade_that_breaks_off_at_any_step_is_run_again(
    kind: str, step: int, start_redis: Callable[..., RedisServer], next_folder: Path
) -> None:
    """Each queue has gone up, or has not. A lost connection is made again; whoever is killed is started once more."""
    server, names = start_redis(), ["a", "b", "c"]
    brokers = [Broker(Store(resolve(url=server.url)), name) for name in names]
    for broker in brokers:
        assert broker.enqueue_one("t", b"\x01s\x64\x00")
    server.client().script_load(next_version.UPGRADE.text)
    proxy = Proxy(server.url)
    proxy.add(Fault(kind, lambda request: next_version.UPGRADE.sha in request and keys.seq(names[step]).encode() in request))
    env = next_version.environment(next_folder, {})
    upgrade = start_command("hotqueue", "upgrade", *names, "-u", proxy.url, "--yes", "--json", env=env)
    wait_until(lambda: proxy.faults[kind] == 1, what="it has come so far")
    if kind == SILENCE:
        upgrade.kill()
    upgrade.communicate(timeout=allowed(20))
    expected = [NEW] * step + [OLD] * (3 - step) if kind == SILENCE else [NEW] * 3
    assert (upgrade.returncode, [broker.schema() for broker in brokers]) == (-9 if kind == SILENCE else 0, expected)
    for broker, schema in zip(brokers, expected, strict=True):
        if schema == OLD:
            assert broker.look("t").where == "ready"
            continue
        with pytest.raises(NewerQueue):
            broker.look("t")
    again = run_command("hotqueue", "upgrade", "--all", "-u", server.url, "--yes", "--json", env=env)
    assert [row["schema"] for row in json.loads(again.stdout)] == [NEW] * 3
    assert [server.client().zcard(keys.ready(name)) for name in names] == [1] * 3
    proxy.close()
    for broker in brokers:
        broker.store.close()


@pytest.mark.parametrize("is_before", [True, False], ids=["before it starts", "while it works"])
def test_one_of_several_queues_that_is_newer_keeps_a_worker_from_no_other(
    is_before: bool, start_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server, log = start_redis(), tmp_path / "log"
    redis, queues = server.client(), [HotQueue(f"q-{n}", url=server.url) for n in range(3)]
    quick = [named(queue, "quick") for queue in queues]
    path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
    env = {"STORE": server.url, "QUEUE": "q", "COUNT": "3", "NOTES": str(tmp_path / "notes"), "PYTHONPATH": path}
    if is_before:
        next_version.upgrade(queues[1]._store, "q-1")
    with open(log, "w") as file:
        worker = start_command(
            "hotqueue-worker", "twenty_queues", "-p1", env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        wait_until(lambda: all(redis.zcard(keys.workers(f"q-{n}")) for n in (0, 2)), what="it has registered")
        if not is_before:
            assert quick[1].delay(0).get(30) == 0
            next_version.upgrade(queues[1]._store, "q-1")
            redis.lpush(keys.bell("q-1"), "1")  # it may sleep: what it then fetches says that the queue is newer
        wait_until(lambda: log.read_text().count(SAYS) == 1, what="it says so")
        assert [quick[n].delay(n).get(30) for n in (0, 2, 0, 2)] == [0, 2, 0, 2]
        redis.config_resetstat()
        rung = redis.lpush(keys.bell("q-1"), "1")  # for somebody else, as is the one above where it was not needed
        let_pass(2)  # what is measured is a rate
        assert redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"] < 60
        assert (log.read_text().count(SAYS), redis.llen(keys.bell("q-1"))) == (1, rung)
    finally:
        worker.terminate()
        assert worker.wait(allowed(10)) == 0
        for queue in queues:
            queue.close()
