"""Workflows over two queues go on, each step once where nothing is killed, whatever process is killed, or is not there.

Of this kind: workers that are killed between a step's end and each step of bringing what it has posted, and between fetch and
acknowledgement; workers of the one queue only; nobody but a supervisor to bring what a dead worker left. What scripts do, at
random: tests/tasks/broker/test_crossing_at_random.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue.tasks import chain, chord
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.worker import failpoints
from tests.crash.workers import Workers
from tests.support.waiting import wait_until

VALUE = 10 * (1 + 10) + 90 + 1000
pytestmark = pytest.mark.servers("server")


class Crossing(Workers):
    """Workers of the queues of `crossing_tasks`."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        super().__init__("crossing_tasks", name, url, folder)
        self.brokers: list[Broker] = [client_of(each).broker for each in (self.queue, self.tasks.there)]

    def send(self) -> Any:
        """Send a workflow over both queues, whose value is VALUE."""
        add, there = self.tasks.add, self.tasks.add_there
        header = [(there if n % 2 else add).s(10) for n in range(10)]
        return chain(add.s(1), there.s(), chord(header, there.s(90)), add.s(1000)).delay()

    def check_nothing_left(self) -> None:
        for broker in self.brokers:
            wait_until(lambda broker=broker: broker.counts()["unfinished"] == 0)
            wait_until(lambda broker=broker: not broker.targets())
            wait_until(lambda broker=broker: not broker.let_go())
            left = {key.decode().partition("}:")[2] for key in self.redis.scan_iter("*") if f":{broker.name}}}".encode() in key}
            assert left & {"steps", "dead:steps", "steps:todo", "steps:open", "steps:reported", "owned", "owned:over"} == set()


@pytest.fixture
def crossing(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Crossing]:
    """Two queues whose workers can be harmed."""
    made = Crossing(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])
    made.tasks.there.close()


@pytest.mark.parametrize("point", [*failpoints.OF_RELAYS, "before_settle", "after_settle"])
def test_a_process_killed_at_any_point_breaks_no_workflow(crossing: Crossing, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    crossing.start("-p2", env={"HOTQUEUE_FAULT": f"{point}:KILL:{token}"})
    for _ in range(2):
        token.touch()
        result, failed = crossing.send(), chain(crossing.tasks.fails.s(), crossing.tasks.add.s(1)).delay()
        assert result.get(60) == VALUE
        with pytest.raises(ValueError, match=r"^no\n"):
            failed.get(60)
        wait_until(lambda: not token.exists())
        assert crossing.tasks.there.discard_dead(all=True) == 1
    crossing.check_nothing_left()


def test_workers_of_one_queue_at_a_time(crossing: Crossing) -> None:
    """Each brings what its tasks have posted; those of the other queue take it up when they come."""
    result = crossing.send()
    here = crossing.start("-Q", crossing.name)
    nodes = crossing.queue.workflow(result.id).nodes
    first = crossing.queue.result(nodes[0].id)
    assert first.get(30) == 1
    wait_until(lambda: crossing.brokers[1].counts()["ready"] == 1)
    here.kill()
    here.wait()
    there = crossing.start("-Q", crossing.tasks.there.name, wait=False)
    wait_until(lambda: crossing.queue.result(nodes[1].id).ready())
    assert not result.ready()
    crossing.start("-Q", crossing.name, wait=False)
    assert result.get(60) == VALUE
    assert there.poll() is None
    assert len(crossing.noted()) == 14  # each once
    crossing.check_nothing_left()
