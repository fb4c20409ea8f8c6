"""What somebody should look at, and that nothing is said where all is well."""

from __future__ import annotations

from hotqueue.monitor.crowd import QueueFacts, ServerFacts
from hotqueue.monitor.warnings import warnings
from hotqueue.monitor.workers import Worker

FINE = ServerFacts()


def texts(server: ServerFacts = FINE, queues: tuple[QueueFacts, ...] = (), workers: tuple[Worker, ...] = ()) -> list[str]:
    return [each.text for each in warnings(server, queues, workers)]


def test_where_all_is_well_nothing_is_said() -> None:
    queue = QueueFacts("mail", unfinished=9, ready=5, workers=2, scheduled=4)
    assert texts(ServerFacts("Redis 7", 10, 100, "noeviction"), (queue, QueueFacts("idle")), (Worker("w"),)) == []


def test_queues_that_nobody_works_at_come_before_what_may_be_meant() -> None:
    queues = (
        QueueFacts("b", ready=1200, workers=1, is_paused=True),
        QueueFacts("mail", ready=1200),
        QueueFacts("one", blocked=1),
        QueueFacts("p", parked=1, workers=1),
        QueueFacts("new", is_newer=True),
    )
    assert texts(queues=queues) == [
        "1 200 tasks wait in mail, and there is no worker",
        "1 task waits in one, and there is no worker",
        "new has tasks of a newer hotqueue",
        "b is paused; 1 200 tasks wait",
        "1 task waits in p for something that no worker offers",
    ]


def test_a_server_that_is_nearly_full_or_evicts_is_named() -> None:
    assert texts(ServerFacts("Redis 7", 95, 100, "allkeys-lru")) == [
        "the server has used 95 % of its memory",
        "the server may evict keys (allkeys-lru)",
    ]
    assert texts(ServerFacts("Redis 7", 95, 0, "allkeys-lru")) == []


def test_workers_that_are_overdue_are_counted() -> None:
    late = Worker("w", name="web-1", is_overdue=True)
    assert texts(workers=(late,)) == ["web-1 has not been heard of for longer than its lease"]
    assert texts(workers=(late, late)) == ["2 workers have not been heard of for longer than their leases"]
