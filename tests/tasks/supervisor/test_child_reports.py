"""What a supervisor does when a child says something: before there are queues a failure is the end, afterwards it is not."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.runtime.background import Background
from hotqueue.store.store import Store
from hotqueue.tasks.client.registry import registry_of
from hotqueue.tasks.client.schedules import Schedules
from hotqueue.tasks.supervisor.child_reports import Reports
from hotqueue.tasks.supervisor.found_queues import FoundQueues
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.replacement import Replacement
from hotqueue.tasks.supervisor.served_queues import Queues
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.wire import payload, schedule_row
from hotqueue.tasks.worker import child
from hotqueue.tasks.worker.child import Settings
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room
from tests.tasks.supervised import waiting_child


class Receiving:
    """A supervisor without its loop."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.ready: list[Any] = []
        settings = Settings(make_queue=HotQueue)
        self.state = Phase(self.failures.append)
        self.pool = Processes(settings, self.state)
        self.replacement = Replacement(1, True, self.pool.stop)
        self.background = Background(lambda: None)
        queues = Queues()
        self.reports = Reports(
            settings,
            self.state,
            self.pool,
            self.replacement,
            self.background,
            lambda brokers: Upkeep(brokers, 60_000, signer=queues.signer_of),
            lambda queues, tasks, late: self.ready.append(([name for name, _ in queues], tasks)),
            queues,
            FoundQueues([], queues, self.pool, self.state, lambda: None),
        )

    def hello(self, each: Any, store: Store, name: str, declared: Any = ("", {})) -> None:
        self.reports.receive(
            each,
            [
                {
                    "kind": "hello",
                    "queues": payload.dumps([(name, store)]),
                    "tasks": ["t"],
                    "late": payload.dumps([]),
                    "keys": ["secret"],
                    "declared": payload.dumps({0: declared}),
                }
            ],
        )
        wait_until(lambda: self.background.conclude() or self.background.is_free)  # type: ignore[func-returns-value]


@pytest.mark.servers("server")
def test_the_first_hello_begins_the_upkeep_of_the_queues_that_it_names(room: Room) -> None:
    parent = Receiving()
    with waiting_child() as each:
        parent.hello(each, room.queue._store, room.queue.name)
        assert parent.ready == [([room.queue.name], ["t"])]
        assert each.is_ready
        assert parent.state.upkeep is not None
        assert [broker.name for broker in each.queues] == [room.queue.name]
        parent.reports.receive(each, [{"kind": "failed", "code": 2, "text": "a later process cannot load"}])
        assert (each.why_not, parent.state.exit, parent.failures) == ("a later process cannot load", None, [])


@pytest.mark.servers("server")
def test_what_a_process_declares_is_declared_by_its_supervisor_and_later_ones_take_its_place(room: Room) -> None:
    def declared(*names: str) -> Any:
        queue = HotQueue(room.queue.name, url="redis://127.0.0.1:1", secret_key="secret")
        for name in names:
            queue.periodic(3600, name=name, args=(1,))(sample.square)
        return Schedules(registry_of(queue)).declared()

    def there() -> list[str]:
        assert parent.state.upkeep is not None
        parent.state.upkeep.fire()
        return sorted(room["schedules"] or {})

    parent = Receiving()
    with waiting_child() as each:
        parent.hello(each, room.queue._store, room.queue.name, declared("a"))
        assert there() == ["a"]
        signer = parent.reports.queues.signer_of(each.queues[0])
        assert signer is not None
        schedule_row.decode(room.client.hget(room.prefix + "schedules", "a"), "a", signer.for_schedules(room.queue.name))
        parent.hello(each, room.queue._store, room.queue.name, declared("a", "b"))
        assert there() == ["a", "b"]
        each.suspects = child.Suspects(room.queue.name, "", 1, 1)
        parent.hello(each, room.queue._store, room.queue.name, declared("c"))
        assert there() == ["a", "b"]


def test_a_first_process_that_cannot_load_is_the_end() -> None:
    parent = Receiving()
    with waiting_child() as each:
        parent.pool.all = [each]
        parent.reports.receive(each, [{"kind": "failed", "code": child.EXIT_USAGE, "text": "no module named 'x'"}])
        assert (parent.failures, parent.state.exit, parent.state.stop_at) == (
            ["no module named 'x'"],
            child.EXIT_USAGE,
            0.0,
        )
        assert each.is_stopping


def test_who_reached_a_limit_is_followed_once_in_a_burst() -> None:
    parent = Receiving()
    parent.replacement.to_begin = 0
    with waiting_child() as each:
        parent.reports.receive(each, [{"kind": "ends_soon"}])
        assert (each.ends_soon, parent.replacement.to_begin) == (True, 0)
        parent.reports.receive(each, [{"kind": "finishing"}, {"kind": "leaving", "reached_limit": True}])
        assert (each.is_stopping, each.leaves_by is not None, parent.replacement.to_begin) == (True, True, 1)
