"""Workflows go on, each step with the right values and the end counted once, whatever process is killed between two of them.

Of this kind: workers that are killed at each point between fetch and acknowledgement, also where a task is replaced, or steps
have one unique key; a sender that is killed between two lots.
What scripts do, at random: tests/tasks/broker/test_workflows_at_random.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotqueue import EarlierStepFailed
from hotqueue.tasks import chain
from hotqueue.tasks.broker import workflows
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.worker import failpoints
from tests.crash.workers import Workers
from tests.support import leaks
from tests.support.waiting import wait_until
from tests.tasks.planning import send, step_of

pytestmark = pytest.mark.servers("server")


class Stepping(Workers):
    """Workers of `step_tasks`."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        super().__init__("step_tasks", name, url, folder)

    def check_nothing_left(self) -> None:
        wait_until(lambda: self.unfinished() == 0)
        wait_until(lambda: not Broker(self.queue._store, self.name).let_go())
        prefix = f"{{hotqueue:{self.name}}}:"
        found = {key.removeprefix(prefix) for key in leaks.keys_of(self.redis, self.name)}
        assert found & {"steps", "dead:steps", "steps:todo", "steps:open", "owned", "owned:over", "attempts", "unique"} == set()


@pytest.fixture
def stepping(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Stepping]:
    """A queue whose workers can be harmed."""
    made = Stepping(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.parametrize("point", failpoints.POINTS)
def test_a_process_killed_at_any_point_breaks_no_workflow(stepping: Stepping, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    stepping.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    add, fails = stepping.tasks.add, stepping.tasks.fails
    for number in range(2):
        token.touch()
        members = [f"{number}m{n}" for n in range(20)]
        *_, last = send(
            stepping.queue,
            step_of(add, f"{number}a", (1,)),
            step_of(add, f"{number}b", (10,), [f"{number}a"], 0),
            *[step_of(add, each, (100,), [f"{number}b"], 0) for each in members],
            step_of(add, f"{number}c", (1000,), members, "*"),
            step_of(add, f"{number}d", (10000,), [f"{number}c"], 0),
            workflow=f"w{number}",
        )
        *_, behind = send(
            stepping.queue,
            step_of(fails, f"{number}x"),
            step_of(add, f"{number}y", (1,), [f"{number}x"], 0),
            workflow=f"v{number}",
        )
        looped = [stepping.tasks.loop.delay(4, is_wide) for is_wide in (False, True)]
        one_key = [chain(add.s(n), stepping.tasks.only.si(7), add.s(1)).delay() for n in range(5)]
        assert last.get(30) == 11000 + 20 * 111
        assert [result.get(30) for result in looped] == ["end", "end"]
        assert [result.get(30) for result in one_key] == [8] * 5
        with pytest.raises(ValueError, match=r"^no\n"):
            behind.get(30)
        wait_until(lambda: not token.exists())
        assert stepping.queue.discard_dead(all=True) == 1
    stepping.check_nothing_left()


def test_a_sender_that_dies_between_two_lots_leaves_nothing_that_waits(
    stepping: Stepping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "OPEN_MS", 300)
    monkeypatch.setattr(workflows, "LOT_BYTES", 2000)
    add = stepping.tasks.add
    members = [f"m{n}" for n in range(50)]
    steps = [*[step_of(add, each, (1,)) for each in members], step_of(add, "body", (), members, "*")]
    broker = Broker(stepping.queue._store, stepping.name)
    for _ in zip(range(3), broker.sending("w", steps, b"words"), strict=False):
        pass
    stepping.start("-p1")
    with pytest.raises(EarlierStepFailed, match="never sent"):
        stepping.queue.result("body").get(30)
    stepping.check_nothing_left()
