"""A key of the wrong type costs no more than what it is of: one name that is paused, one key of a gate, the schedules.

Of this kind is each key that is read, or written, for some tasks of a queue while others go by: a script that meets it in
its middle ends there, for all. What the key is of waits until it is put right, and then comes to its end. Junk in all keys
at once, which costs a queue what it may, is in test_junk_in_keys.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hotqueue import ConfigError, HotQueue
from tests.crash.workers import APPS, BANNER
from tests.support.elsewhere import task_by_name
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until


class At(NamedTuple):
    """A queue, a worker of it, and whoever looks into its keys."""

    queue: HotQueue
    redis: Any

    def call(self, name: str, *args: Any) -> Any:
        return task_by_name(self.queue, name).delay(*args)

    def key(self, thing: str) -> str:
        return f"{{hotqueue:{self.queue.name}}}:{thing}"

    def spoil(self, thing: str) -> None:
        """Put what does not belong there in the place of a key."""
        self.redis.delete(self.key(thing))
        self.redis.xadd(self.key(thing), {"a": "b"})

    def mend(self, thing: str) -> None:
        self.redis.delete(self.key(thing))

    def others_go_on(self) -> None:
        """See that tasks which have nothing to do with that key run, all kinds of them."""
        calls = [self.call("plain", 1), self.call("aplain", 2), self.queue.submit(pow, 2, 3)]
        calls.append(task_by_name(self.queue, "plain").apply_async((4,), countdown=0.05))
        assert [call.get(40) for call in calls] == [1, 2, 8, 4]


@pytest.fixture
def at(start_redis: Callable[..., RedisServer], start_command: Any, tmp_path: Path) -> Iterator[At]:
    server = start_redis()
    log = tmp_path / "worker.log"
    path = os.pathsep.join([str(APPS), str(APPS.parent.parent.parent)])
    env = {"STORE": server.url, "QUEUE": "bad-keys", "PYTHONPATH": path}
    with open(log, "w") as file:
        made = start_command("hotqueue-worker", "bad_key_tasks", "-p1", env=env, stdout=file, stderr=file)
    wait_until(lambda: BANNER in log.read_text(), what="the worker is ready")
    yield At(HotQueue("bad-keys", url=server.url), server.client())
    print(log.read_text()[-12000:])
    made.terminate()
    made.wait(30)


def test_of_a_name_that_is_paused(at: At) -> None:
    for name in ("named", "other"):
        at.queue.pause(task=name)
    at.spoil("parked:paused:named")
    calls = [at.call(name, n) for n in range(3) for name in ("named", "other")]
    at.others_go_on()
    wait_until(lambda: at.redis.zcard(at.key("parked:paused:other")) == 3, 40)
    at.queue.resume(task="other")
    assert [call.get(40) for call in calls[1::2]] == [0, 1, 2]
    assert not any(call.ready() for call in calls[::2])
    with pytest.raises(ConfigError, match="parked:paused:named"):
        at.queue.resume(task="named")
    at.others_go_on()
    at.mend("parked:paused:named")
    assert sorted(call.get(40) for call in calls[::2]) == [0, 1, 2]


def test_of_what_a_parked_task_waits_for(at: At) -> None:
    """Others that are parked for something else go back."""
    at.spoil("parked:task:nobody-has")
    unknown = at.queue.send("nobody-has", (1,))
    at.others_go_on()
    at.queue.pause(task="named")
    call = at.call("named", 3)
    wait_until(lambda: at.redis.zcard(at.key("parked:paused:named")) == 1, 40)
    at.queue.resume(task="named")
    assert call.get(40) == 3
    with pytest.raises(ConfigError, match="parked:task:nobody-has"):
        unknown.revoke()
    at.mend("parked:task:nobody-has")
    wait_until(lambda: unknown.revoke() != "running, not stopped", what="it is parked again, or was revoked as it was")


GATES = {
    "gated": ("slots:bad-0", "lane:bad-1", "turns:bad-2"),
    "rated": ("starts:r1000 bad-0", "slots:r1000 bad-1", "lane:r1000 bad-2", "turns:r1000 bad-3"),
    "fair": ("lane:fs100 bad-0", "slots:fs100 bad-1"),
    "once": ("parked:unique",),
}


def test_of_one_key_of_a_gate(at: At) -> None:
    calls = []
    for task, things in GATES.items():
        for n, thing in enumerate(things):
            at.spoil(thing)
            calls += [at.call(task, i, f"bad-{n}") for i in range(3 if task != "once" else 1)]
        others = [at.call(task, n, f"good-{n}") for n in range(3)]
        assert [call.get(40) for call in others] == [0, 1, 2], task
    at.others_go_on()
    for thing in (thing for things in GATES.values() for thing in things):
        at.mend(thing)
    assert sum(call.get(90) for call in calls) == 3 * 9


SINGLE = (
    "timers gated blocked lanes paused:keys unique parked:unique schedules schedules:states schedules:next schedules:declarers "
    "owned:over outbox receipts"
)


def test_of_what_a_queue_has_one_of(at: At) -> None:
    for thing in SINGLE.split():
        at.spoil(thing)
        try:
            at.others_go_on()
        except Exception as error:
            error.add_note(f"with {thing} of the wrong type")
            raise
        at.mend(thing)
    calls = [at.call(task, 1, "k") for task in ("gated", "rated", "fair", "once")]
    assert [call.get(40) for call in calls] == [1, 1, 1, 1]
