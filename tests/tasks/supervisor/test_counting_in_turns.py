"""Queues are counted a portion each in turn, those first that there was no time for; one that is wrong keeps none from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks.supervisor.counting_in_turns import CountingInTurns
from hotqueue.tasks.supervisor.neighbours import Neighbours
from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep
from tests.tasks.broker.test_statistics import now_told, tell, totals
from tests.tasks.wire.test_account import told

MakeQueue = Callable[..., HotQueue]


def upkeep(queue: HotQueue) -> QueueUpkeep:
    return QueueUpkeep(queue._tasks.broker, 1000, Neighbours(), bool, lambda *_: None, lambda *_: None)


def waits(queue: HotQueue) -> bool:
    return bool(queue._store.client().exists(keys.accounts(queue.name)))


@pytest.mark.servers("server")
def test_none_waits_for_all_of_another(make_queue: MakeQueue, queue_name: str) -> None:
    much, little = make_queue(queue_name), make_queue(f"{queue_name}-little")
    tell(much, *[told([now_told(f"{n}")], "X") for n in range(250)])
    tell(little, told([now_told("a")], "X"))
    turns, both = CountingInTurns(), [upkeep(much), upkeep(little)]
    turns.count(both, 0)
    assert (waits(much), waits(little)) == (True, True)
    turns.count(both, 0)
    assert (waits(much), waits(little)) == (True, False)
    turns.count(both)
    assert (waits(much), waits(little)) == (False, False)
    assert totals(much)["shop.a"].counts["succeeded"] == 250


@pytest.mark.servers("server")
def test_one_that_is_wrong_keeps_none_from_it(make_queue: MakeQueue, queue_name: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong, good = make_queue(queue_name), make_queue(f"{queue_name}-good")
    tell(good, told([now_told("a")], "X"))
    wrong._store.client().set(keys.accounts(wrong.name), "junk")
    both = [upkeep(wrong), upkeep(good)]
    CountingInTurns().count(both)
    assert not waits(good)
    assert [wrong.name in line for line in caplog.messages] == [True]
    wrong._store.client().delete(keys.accounts(wrong.name))
