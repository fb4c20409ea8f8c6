"""A task goes on where it was, whatever ends a run of it, and no item is begun more than twice by what kills it.

Of this kind: `kill -9` at random items, of fast ones and slow ones, sync, in threads, and async; a worker that is told to
stop, in the middle of a task; one that is given up and goes on. What is kept, and when: tests/tasks/rules/test_loops.py,
tests/tasks/test_resuming.py.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotqueue import WorkerLost, keys
from hotqueue.tasks import AsyncResult
from tests.crash.workers import Workers
from tests.support.waiting import wait_until

KILLS = 2


class Walks(Workers):
    """Workers of `checkpoint_tasks`."""

    def runs(self, task_id: str) -> list[list[int]]:
        """Return which items each run of a task began."""
        found: list[list[int]] = []
        for what, noted, *more in self.noted():
            if noted == task_id and what == "run":
                found.append([])
            elif noted == task_id:
                found[-1].append(int(more[0]))
        return found

    def check_each_at_most_twice(self, task_id: str, items: int) -> None:
        """Each run went from where an earlier one had got to, without a gap, and nothing was begun a third time."""
        runs = self.runs(task_id)
        reached = 0
        for run in runs:
            assert run == list(range(run[0], run[0] + len(run)))
            assert run[0] <= reached
            reached = max(reached, run[-1] + 1)
        assert reached == items
        assert max(Counter(item for run in runs for item in run).values()) <= 2


@pytest.fixture
def walks(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Walks]:
    """A queue whose workers can be harmed."""
    made = Walks("checkpoint_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])


@pytest.mark.servers("server")
@pytest.mark.parametrize(("task", "items", "pause"), [("walk", 400, 0), ("walk", 20, 0.012), ("awalk", 400, 0)])
def test_items_are_begun_twice_at_most_whatever_kills_their_process(
    walks: Walks, tmp_path: Path, task: str, items: int, pause: float
) -> None:
    folder = tmp_path / "kills"
    folder.mkdir()
    for item in random.sample(range(items), KILLS):
        (folder / str(item)).touch()
    walks.start()
    result: AsyncResult[int] = getattr(walks.tasks, task).delay(items, pause, str(folder))
    assert result.get(60) == items  # counted by what it kept with the ends of items
    assert len(walks.runs(result.id)) == KILLS + 1
    walks.check_each_at_most_twice(result.id, items)
    check_nothing_left(walks)


@pytest.mark.servers("server")
@pytest.mark.parametrize("task", ["walk", "awalk"])
def test_who_comes_further_each_time_may_die_more_often_than_it_may_be_delivered(walks: Walks, tmp_path: Path, task: str) -> None:
    for item in (2, 5, 9, 12):
        (tmp_path / str(item)).touch()
    walks.start()
    result = getattr(walks.tasks, task).apply_async((14, 0.02, str(tmp_path)), max_deliveries=2)
    assert result.get(60) == 14
    assert len(walks.runs(result.id)) == 5
    assert "dead list" not in walks.said()
    check_nothing_left(walks)


@pytest.mark.servers("server")
def test_who_dies_of_the_same_item_each_time_is_convicted(walks: Walks, tmp_path: Path) -> None:
    (tmp_path / "2").touch()
    walks.start()
    result = walks.tasks.stumble.delay(8, str(tmp_path))
    with pytest.raises(WorkerLost, match=r"killed its worker process 3 times, 2 of them since it last came further"):
        result.get(60)
    assert [run[-1] for run in walks.runs(result.id)] == [2, 4, 4]
    assert "for the last time (max_deliveries), which goes to the dead list" in walks.said()
    walks.queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_threads_of_a_killed_process_go_on_each_where_it_was(walks: Walks, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "7").touch()
    walks.start("-t3")
    folders = [tmp_path / "none", tmp_path / "none", tmp_path]
    results = [walks.tasks.walk.delay(12, 0.02, str(folder)) for folder in folders]
    assert [result.get(60) for result in results] == [12, 12, 12]
    for result in results:
        walks.check_each_at_most_twice(result.id, 12)
    check_nothing_left(walks)


def test_a_worker_that_stops_hands_over_between_two_items_at_no_charge(walks: Walks, tmp_path: Path) -> None:
    check_handing_over(walks, walks.tasks.walk, tmp_path)


@pytest.mark.servers("server")
def test_so_does_one_of_async_tasks(walks: Walks, tmp_path: Path) -> None:
    check_handing_over(walks, walks.tasks.awalk, tmp_path)


def check_handing_over(walks: Walks, task: Any, tmp_path: Path) -> None:
    first = walks.start()
    result: AsyncResult[int] = task.delay(16, 0.03, str(tmp_path))
    wait_until(lambda: len(walks.noted()) > 4)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert len(walks.runs(result.id)[0]) < 16
    assert walks.unfinished() == 1
    walks.start()
    assert result.get(30) == 16
    before, after = walks.runs(result.id)
    assert before + after == list(range(16))
    assert {line[3] for line in walks.noted() if line[0] == "run"} == {"1"}  # no delivery more
    check_nothing_left(walks)


@pytest.mark.servers("server")
def test_a_run_that_was_given_up_keeps_nothing_any_more(walks: Walks, tmp_path: Path) -> None:
    worker = walks.start()
    result = walks.tasks.walk.delay(25, 0.05, str(tmp_path))
    wait_until(lambda: len(walks.noted()) > 3)
    pid = int(walks.noted()[0][2])
    os.kill(worker.pid, signal.SIGSTOP)  # nobody renews its lease, nor sees what becomes of it
    os.kill(pid, signal.SIGSTOP)
    for name in walks.registered():
        walks.queue._tasks.broker.reap(name, known_dead=True)
    walks.start()
    wait_until(lambda: len(walks.runs(result.id)) == 2)
    os.kill(pid, signal.SIGCONT)
    os.kill(worker.pid, signal.SIGCONT)
    assert result.get(30) == 25
    wait_until(lambda: "no longer ours" in walks.said() or "LeaseLost" in walks.said())
    check_nothing_left(walks)


def check_nothing_left(walks: Walks) -> None:
    wait_until(lambda: walks.unfinished() == 0)
    assert walks.redis.exists(keys.checkpoints(walks.name), keys.attempts(walks.name)) == 0
