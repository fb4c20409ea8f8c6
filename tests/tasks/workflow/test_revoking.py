"""Some tasks are revoked together as each is alone: what waits ends, what is in hand never starts, a chain goes with its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hotqueue import HotQueue
from hotqueue.store import pipeline
from hotqueue.store.exchange import Exchange
from hotqueue.tasks import chain
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.workflow import revoking
from hotqueue.tasks.workflow.revoking import revoke_some
from tests.support.elsewhere import task_by_name

MakeQueue = Callable[..., HotQueue]


@contextmanager
def trips_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note each trip to the server meanwhile."""
    noted: list[str] = []
    ask, exchange = Exchange.ask, pipeline._exchange

    def asked(*args: object, **options: object) -> object:
        noted.append("one")
        return ask(*args, **options)  # type: ignore[arg-type]

    def exchanged(*args: object, **options: object) -> object:
        noted.append("several")
        return exchange(*args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "ask", asked)
        patch.setattr(pipeline, "_exchange", exchanged)
        yield noted


def test_what_waits_is_revoked_however_it_waits_and_the_rest_is_as_it_was(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    task, broker = task_by_name(queue, "t"), Broker(queue._store, queue.name)
    waiting = [task.delay(n) for n in range(100)]
    later = [task.apply_async((n,), countdown=3600) for n in range(10)]
    other = task.delay(7)
    ids = [each.id for each in (*waiting, *later)]
    with trips_counted(monkeypatch) as trips:
        assert revoke_some(broker, [*ids, ids[0]]) == {"revoked": 110}
    assert len(trips) < 6
    assert {each.state for each in (*waiting, *later)} == {"REVOKED"}
    assert (queue.pending(), other.state) == (1, "PENDING")
    assert revoke_some(broker, [other.id, ids[0], "nobody"]) == {"revoked": 2, "finished or unknown": 1}
    assert queue.pending() == 0


@pytest.mark.servers("server")
def test_of_a_workflow_the_last_step_takes_the_others_along_and_another_does_not(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task, broker = task_by_name(queue, "t"), Broker(queue._store, queue.name)
    sent = [chain(*(task.si(n) for n in range(3))).delay() for _ in range(2)]
    middle = sent[1].parent
    assert middle is not None
    assert revoke_some(broker, [sent[0].id]) == {"revoked": 1}
    first = sent[0].parent
    assert first is not None
    assert (sent[0].state, first.state) == ("REVOKED", "REVOKED")
    assert queue.pending() == 3
    assert revoke_some(broker, [middle.id]) == {"revoked": 1}
    assert queue.result(sent[1].id).state == "REVOKED"  # it was behind it
    assert queue.pending() == 1
    queue.purge()


@pytest.mark.servers("server")
def test_what_a_worker_has_in_hand_is_marked_and_told_of(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoking, "IN_HAND", 0.0)
    queue = make_queue()
    broker = Broker(queue._store, queue.name)
    ran: list[int] = []
    ids = [each.id for each in queue.task(name="t")(ran.append).map(range(5))]
    session = Session(broker, "w", "s")
    session.register(60_000, {"host": "h", "pid": "1"})
    session.step(room=2)
    assert revoke_some(broker, ids) == {"revoked": 3, "running, not stopped": 2}
    assert broker.ends(ids).count(None) == 2
    session.broker.reap("w", known_dead=True)
    queue.run_worker(burst=True)
    assert (broker.ends(ids).count(None), ran) == (0, [])  # who fetches them next ends them


def test_those_that_run_nowhere_any_more_are_said_to_be_over(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.task(name="t")
    def t(n: int) -> int:
        return n

    done = t.delay(1)
    queue.run_worker(burst=True)
    assert revoke_some(Broker(queue._store, queue.name), [done.id]) == {"finished or unknown": 1}
    assert done.get() == 1
