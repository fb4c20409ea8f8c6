"""Flow control on every kind of server, with real workers of several queues: what is tested in depth on one server elsewhere.

Of the kind: rates, what runs at a time, turns, unique tasks, pauses of a task and a key, why(), purge, revoke_all, max_waiting.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import DuplicateTask, HotQueue, QueueFull
from tests.crash.workers import Workers
from tests.support.waiting import wait_until


@pytest.fixture
def flow(queue_name: str, store_url: str, tmp_path: Path, key_leaks: Callable[[], None]) -> Iterator[Workers]:
    """Two queues whose worker has not been started yet."""
    made = Workers("flow_tasks", queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-5000:])
    key_leaks()


def test_all_of_it(flow: Workers) -> None:
    tasks, queue = flow.tasks, flow.queue
    before = [tasks.fair.delay(key) for key in ["big"] * 10 + ["small"] * 3]
    flow.start()
    assert tasks.beside.delay(7).get(timeout=30) == 7
    ran = [each.get(timeout=30) for each in before]
    assert max(ran[10:]) < max(ran[:10])

    flow.start()
    starts = [each.get(timeout=30) for each in [tasks.rated.delay("a") for _ in range(12)]]
    assert max(starts) - min(starts) > 1

    spans = sorted(each.get(timeout=30) for each in [tasks.alone.delay("a", 0.1) for _ in range(4)])
    assert all(ends <= begins for (_, ends), (begins, _) in itertools.pairwise(spans))
    assert sorted(each.get(timeout=30) for each in [tasks.all_gates.delay("a", n) for n in range(20)]) == list(range(20))

    queue.pause(task=tasks.plain)
    queue.pause(key="c-b")
    paused, kept = tasks.plain.delay(1), tasks.alone.delay("b")
    assert tasks.fair.delay("b").get(timeout=30)
    assert (paused.why().reason, kept.why().reason) == ("paused", "paused")
    queue.resume(task=tasks.plain)
    queue.resume(key="c-b")
    assert (paused.get(timeout=30), len(kept.get(timeout=30))) == (1, 2)

    first, second = (tasks.single.apply_async(("a", n), countdown=60) for n in (1, 2))
    wait_until(lambda: first.state.name == "REVOKED")
    with pytest.raises(DuplicateTask):
        tasks.single.apply_async(("a", 3), on_conflict="raise")
    assert second.why().reason == "eta"
    assert queue.revoke_all(task=tasks.single) == 1
    later = [tasks.plain.apply_async((n,), countdown=60, headers={"tenant": n % 2}) for n in range(10)]
    assert (queue.revoke_all(headers={"tenant": 1}), queue.purge(state="scheduled")) == (5, 5)
    assert {each.state.name for each in later} == {"REVOKED"}

    queue.pause()
    bounded = HotQueue(queue.name, url=flow._url, max_waiting=3)
    for n in range(3):
        bounded.send("flow_tasks.plain", (n,))
    with pytest.raises(QueueFull):
        bounded.send("flow_tasks.plain", (3,))
    assert (queue.stats()["ready"], queue.purge()) == (3, 3)
    queue.resume()
    assert tasks.plain.delay(2).get(timeout=30) == 2
    bounded.close()
