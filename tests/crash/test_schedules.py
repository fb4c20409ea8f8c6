"""Schedules while those who fire them die, or stand still, at any step: each slot is fired, and once, while somebody lives.

Of this kind: two supervisors at one slot; one that is killed or stopped before it fires, behind it, between that and what goes to
another queue, before and behind a declaration; one whose server is away, or starts empty; workers that all have their hands full;
deployments in which two versions declare one schedule.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from hotqueue import HotQueue, keys
from tests.crash.workers import Workers
from tests.support.counts import counts
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals")
ROUNDS = int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1"))
EVERY = 200  # ms between two slots
POINTS = ("before_fire", "after_fire", "before_declare", "after_declare")


class Fired(Workers):
    """Workers with a schedule, and what it has fired."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        super().__init__("schedule_tasks", "scheduled", server.url, folder, server.client())
        self.server = server

    def slots(self, name: str = "beat") -> Counter[int]:
        """Return how often the task of each slot was begun, by the slot in ms."""
        prefix = f"periodic:{name}:"
        ids = [words[1].removeprefix(prefix) for words in self.noted() if words[1].startswith(prefix)]
        return Counter(round(datetime.fromisoformat(text).timestamp() * 1000) for text in ids)

    def check_each_once(self, since: int, name: str = "beat", every: int = EVERY) -> None:
        """Fail unless each slot from one instant on was fired, and the queue stored a task for each one time."""
        found = self.slots(name)
        first = min(slot for slot in found if slot >= since)
        assert sorted(slot for slot in found if slot >= since) == list(range(first, max(found) + 1, every))
        assert first - since <= 2 * every

    def until_no_gap(self, since: int) -> None:
        """Wait until what went back from a worker that died has begun: its slot was fired before others that have."""

        def has_no_gap() -> bool:
            found = {slot for slot in self.slots() if slot >= since}
            return found == set(range(min(found), max(found) + 1, EVERY))

        wait_until(has_no_gap)

    def stored(self) -> int:
        """Return how many tasks were ever stored in the queue."""
        return counts(self.redis, self.name)["enqueued"]


@pytest.fixture
def fired(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Fired]:
    made = Fired(start_redis(), tmp_path)
    yield made
    made.stop()
    print(made.said()[-4000:])


def now() -> int:
    return int(time.time() * 1000)


def beats(fired: Fired, more: int, name: str = "beat") -> None:
    """Wait until so many more slots were fired."""
    before = len(fired.slots(name))
    wait_until(lambda: len(fired.slots(name)) >= before + more, what="slots are fired")


def test_supervisors_that_are_killed_stopped_and_started_anew(fired: Fired) -> None:
    env = {"EVERY": str(EVERY / 1000)}
    for _ in range(3):
        fired.start("--lease", "2", env=env)
    beats(fired, 1)
    since = max(fired.slots())
    for n in range(4 * ROUNDS):
        beats(fired, 3)
        victim = random.choice([each for each in fired.workers if each.poll() is None])
        if n % 2:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            fired.start("--lease", "2", env=env)
        else:
            victim.send_signal(signal.SIGSTOP)
            beats(fired, 4)
            victim.send_signal(signal.SIGCONT)
    beats(fired, 3)
    fired.until_no_gap(since)
    fired.stop()
    fired.check_each_once(since)
    assert fired.stored() == len(fired.slots()) + fired.unfinished()


@pytest.mark.parametrize(("point", "action"), [(point, "KILL") for point in POINTS] + [("before_fire", "STOP")])
def test_a_supervisor_that_is_gone_at_this_point(fired: Fired, tmp_path: Path, point: str, action: str) -> None:
    env = {"EVERY": str(EVERY / 1000)}
    fired.start(env=env)
    beats(fired, 1)
    since = max(fired.slots())
    token = tmp_path / "token"
    token.touch()
    harmed = fired.start(env={**env, "HOTQUEUE_FAULT": f"{point}:{action}:{token}"}, wait=False)
    wait_until(lambda: not token.exists(), what="it came there")
    if action == "KILL":
        assert harmed.wait(10) == -signal.SIGKILL
    beats(fired, 5)
    if action == "STOP":
        harmed.send_signal(signal.SIGCONT)
        beats(fired, 3)
    fired.until_no_gap(since)
    fired.stop()
    fired.check_each_once(since)
    assert fired.stored() == len(fired.slots()) + fired.unfinished()


@pytest.mark.parametrize("point", ["before_fire", "after_post", "after_fire"])
def test_what_goes_to_another_queue_comes_there_once(fired: Fired, tmp_path: Path, point: str) -> None:
    env = {"FAR": str(EVERY / 1000)}
    token = tmp_path / "token"
    token.touch()
    harmed = fired.start(
        "-Q", f"{fired.name},{fired.name}-far", env={**env, "HOTQUEUE_FAULT": f"{point}:KILL:{token}"}, wait=False
    )
    assert harmed.wait(30) == -signal.SIGKILL
    fired.start("-Q", f"{fired.name},{fired.name}-far", env=env)
    beats(fired, 5, "far")
    fired.stop()
    found = fired.slots("far")
    assert set(found.values()) == {1}
    assert not fired.redis.exists(keys.outbox(fired.name))


def test_signed_on_every_kind_of_server(queue_name: str, store_url: str, tmp_path: Path, key_leaks: Callable[[], None]) -> None:
    app = Workers("schedule_tasks", queue_name, store_url, tmp_path)
    queue = HotQueue(queue_name, url=store_url, secret_key="k")
    try:
        env = {"EVERY": "0.5", "FAR": "0.5", "SECRET": "k"}
        app.start("-Q", f"{queue_name},{queue_name}-far", env=env)
        queue.schedule("made", 0.5, "schedule_tasks.noted", kwargs={"what": "made"})
        HotQueue(queue_name, url=store_url).schedule("forged", 0.5, "schedule_tasks.noted", kwargs={"what": "forged"})
        kinds = {"beat", "far", "made"}
        wait_until(lambda: {words[0] for words in app.noted()} >= kinds, what="each of them fires")
        names = [each.name for each in queue.schedules()]
        assert names == ["beat", "far", "made"]
        assert all(each.last_result is not None for each in queue.schedules())
        wait_until(lambda: "schedule 'forged' is unsigned, but this worker has a secret key" in app.said())
        assert {words[0] for words in app.noted()} == kinds
    finally:
        app.stop()
        key_leaks()
        queue.close()


def test_a_server_that_is_away_and_comes_back(fired: Fired) -> None:
    fired.start(env={"EVERY": str(EVERY / 1000)})
    beats(fired, 3)
    since = max(fired.slots())
    fired.server.pause()
    gone = now()
    wait_until(lambda: now() > gone + 1500)
    fired.server.resume()
    beats(fired, 12)
    fired.stop()
    fired.check_each_once(since)


def test_a_server_that_starts_empty_has_what_is_declared_soon(fired: Fired) -> None:
    env = {"EVERY": str(EVERY / 1000)}
    fired.start("--lease", "2", env=env)
    beats(fired, 2)
    fired.redis.flushall()
    beats(fired, 5)
    fired.stop()
    assert set(fired.slots().values()) == {1}


def test_bursts_fire_what_was_missed_and_run_it(fired: Fired) -> None:
    env = {"EVERY": "1"}
    assert fired.start("-b", env=env, wait=False).wait(30) == 0
    [found] = fired.queue.schedules()
    assert (found.declared_by, found._stored.state is not None) == ([], True)
    for n in range(2):
        seen = len(fired.slots())
        slot = fired.queue.schedules()[0]._stored.state.slot
        wait_until(lambda slot=slot: now() > slot)  # type: ignore[misc]
        assert fired.start("-b", env=env, wait=False).wait(30) == 0
        assert len(fired.slots()) > seen, n


def test_a_full_server_moves_no_slot(fired: Fired) -> None:
    fired.start(env={"EVERY": str(EVERY / 1000)})
    beats(fired, 2)
    since = now()
    used = fired.redis.info("memory")["used_memory"]
    fired.redis.config_set("maxmemory", used // 2)
    wait_until(lambda: now() > since + 1000)
    wait_until(lambda: "used memory" in fired.said() or "out of memory" in fired.said().lower(), what="it is told")
    fired.redis.config_set("maxmemory", 0)
    beats(fired, 8)
    fired.stop()
    fired.check_each_once(since)


def test_a_rolling_deployment_fires_the_new_times_alone(fired: Fired) -> None:
    old, new = {"EVERY": "0.2", "CODE": "old"}, {"EVERY": "0.5", "CODE": "new"}
    fired.start(env=old)
    beats(fired, 2)
    first = fired.start(env=new)
    wait_until(lambda: fired.queue.schedules()[0].when == 0.5, what="the new one counts")
    since = now() + 100
    beats(fired, 3)
    assert all(slot % 500 == 0 for slot in fired.slots() if slot > since)
    assert len(fired.queue.schedules()[0].declared_by) == 1
    first.terminate()
    first.wait(10)
    wait_until(lambda: fired.queue.schedules()[0].when == 0.2, what="the old one counts again")
    beats(fired, 3)
    assert set(fired.slots().values()) == {1}


def test_workers_with_their_hands_full_and_a_forgotten_script(fired: Fired) -> None:
    fired.start(env={"EVERY": str(EVERY / 1000)})
    beats(fired, 2)
    queue = HotQueue(fired.name, url=fired.server.url)
    blocker = queue.submit(_take_long, 1.5)
    wait_until(lambda: blocker.state == "STARTED")
    fired.redis.script_flush()
    stored = fired.stored()
    wait_until(lambda: fired.stored() >= stored + 4, what="slots are fired, and wait")
    assert blocker.state == "STARTED"
    blocker.get(timeout=30)
    queue.close()


def _take_long(seconds: float) -> None:
    from tests.support.durations import take_time

    take_time(seconds)
