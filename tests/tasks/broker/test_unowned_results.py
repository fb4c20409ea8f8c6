"""Results that were kept for steps, and whose `owned` was deleted, have a time of their own again; what is owned has none."""

from __future__ import annotations

import pytest

from hotqueue.errors import ConfigError
from hotqueue.tasks import chain, chord
from hotqueue.tasks.broker import unowned_results
from hotqueue.tasks.broker.unowned_results import KEPT_MS, UnownedResults
from tests.tasks.broker.test_lost_steps import Worker
from tests.tasks.contents import Room

pytestmark = pytest.mark.servers("server", "cluster")


def begun(room: Room, worker: Worker) -> list[str]:
    """Send a workflow, and run its members; return the ids of its steps."""
    one = room.queue.task(lambda *_: 1, name="one")
    sent = chain(chord([one.s(n) for n in range(3)], one.s()), one.s()).delay()
    worker.fetch(100)
    worker.settle(100)
    return [node.id for node in room.queue.workflow(sent.id).nodes]


def stay(room: Room) -> list[str]:
    """Return which results stay for ever."""
    names = [key.decode().removeprefix(room.prefix) for key in room.client.scan_iter(room.prefix + "result:*")]
    return sorted(name for name in names if room.ttl(name) == -1)


def test_what_nobody_owns_is_kept_for_an_hour_and_what_somebody_owns_stays(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unowned_results, "PAGES", 1)
    monkeypatch.setattr(unowned_results, "BULK", 2)
    worker = Worker(room)
    lost = begun(room, worker)
    assert len(stay(room)) == 4  # of three members, and what there is to say of the workflow
    room.client.delete(room.prefix + "owned")
    kept = begun(room, worker)
    results = UnownedResults(room.broker.store, room.queue.name)
    assert results.portion() == 0  # it was not begun
    results.begin()
    assert sum(results.portion() for _ in range(500)) == 4
    assert stay(room) == sorted([*(f"result:{task_id}" for task_id in kept[:3]), f"result:workflow:{kept[0].rpartition('-')[0]}"])
    assert all(KEPT_MS - 60_000 < room.ttl(f"result:{task_id}") <= KEPT_MS for task_id in lost[:3])


def test_a_look_that_was_stopped_goes_on_where_it_was(room: Room) -> None:
    begun(room, Worker(room))
    room.client.set(room.prefix + "owned", "of the wrong type")
    results = UnownedResults(room.broker.store, room.queue.name)
    results.begin()
    with pytest.raises(ConfigError, match="owned"):
        [results.portion() for _ in range(500)]
    room.client.delete(room.prefix + "owned")
    assert sum(results.portion() for _ in range(500)) == 4
    assert stay(room) == []
