"""What is done to many tasks is counted first, done in portions, can be stopped, done again and undone."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hotqueue import HotQueue
from hotqueue.monitor import bulk
from hotqueue.monitor.bulk import DISCARD, RETRY, REVOKE, Action, Actions, Choice, Counted, count
from hotqueue.monitor.filter_text import parse
from tests.support.elsewhere import task_by_name
from tests.support.waiting import wait_until

MakeQueue = Callable[..., HotQueue]


def fail(n: int) -> None:
    raise ValueError(f"no {n}")


def with_dead(queue: HotQueue, number: int) -> list[str]:
    ids = [each.id for each in queue.task(name="shop.fail")(fail).map(range(number))]
    queue.run_worker(burst=True)
    return ids


def test_all_that_match_are_counted_thrown_away_and_brought_back(make_queue: MakeQueue) -> None:
    queue = make_queue()
    store = queue._store
    with_dead(queue, 30)
    choice = Choice(DISCARD, [queue.name], parse("task:shop.* -error:no-7 -arg:7"))
    assert count(store, choice) == Counted(29)
    assert str(count(store, Choice(DISCARD, [queue.name]), 10)) == "at least 10"
    actions = Actions(store)
    action = actions.start(choice, count(store, choice), "ann")
    wait_until(lambda: action.is_over)
    assert (action.state, action.seen, action.done.count, action.error) == ("finished", 29, 29, "")
    assert [dead.args for dead in queue.dead()] == ["7"]
    queue.discard_dead(all=True)  # somebody else throws something away
    assert action.can_be_undone
    assert action.undo(store, [queue.name]).count == 29
    assert not action.can_be_undone
    assert len(list(queue.dead())) == 29
    assert actions.get(action.id) is action
    assert actions.recent() == [action]
    assert actions.get("x") is None
    again = Action(Choice(RETRY, [queue.name], parse("arg:3,4")), Counted(0))
    again.run(store)
    assert again.done.count == 0
    again = Action(Choice(RETRY, [queue.name], parse("arg:3")), Counted(1))
    again.run(store)
    assert (again.done.count, queue.pending()) == (1, 1)
    queue.purge()
    queue.discard_dead(all=True)


@pytest.mark.servers("server")
def test_it_stops_behind_the_portion_it_is_at(make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PORTION", 10)
    queue = make_queue()
    task_by_name(queue, "t").map(range(50))
    action = Action(Choice(REVOKE, [queue.name]), Counted(50))
    taken = action._take_in

    def take_in(*args: object) -> None:
        taken(*args)  # type: ignore[arg-type]
        if action.seen == 20:
            action.cancel()

    monkeypatch.setattr(action, "_take_in", take_in)
    action.run(queue._store)
    assert (action.state, action.seen, action.done.said) == ("cancelled", 20, {"revoked": 20})
    assert queue.pending() == 30
    again = Action(Choice(REVOKE, [queue.name]), Counted(30))
    again.run(queue._store)
    assert (again.done.count, queue.pending()) == (30, 0)


@pytest.mark.servers("server")
def test_those_that_are_named(make_queue: MakeQueue) -> None:
    queue = make_queue()
    ids = with_dead(queue, 5)
    choice = Choice(DISCARD, ids={queue.name: [ids[1], ids[1], "nobody"]})
    assert count(queue._store, choice).number == 3
    action = Action(choice, count(queue._store, choice))
    action.run(queue._store)
    assert action.done.count == 1
    assert action.undo(queue._store, []).count == 1
    random.shuffle(ids)
    action = Action(Choice(RETRY, ids={queue.name: [*ids, "nobody"]}), Counted(6))
    action.run(queue._store)
    assert (action.done.count, action.done.missing) == (5, ["nobody"])
    assert not action.can_be_undone
    queue.purge()


@pytest.mark.servers("server")
def test_an_action_that_cannot_go_on_says_why(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue._store.client().set(f"{{hotqueue:{queue.name}}}:dead", "junk")
    action = Actions(queue._store).start(Choice(RETRY, ids={queue.name: ["x"]}), Counted(1))
    wait_until(lambda: action.is_over)
    assert action.state == "failed"
    assert "dead" in action.error
    queue._store.client().delete(f"{{hotqueue:{queue.name}}}:dead")


@pytest.mark.servers("server")
def test_a_portion_is_of_one_queue_and_as_large_as_may_be_whenever_its_tasks_died(make_queue: MakeQueue, queue_name: str) -> None:
    queues = [make_queue(), make_queue(f"{queue_name}-b")]
    for _ in range(3):
        for queue in queues:
            with_dead(queue, 1)
    names = [queue.name for queue in queues]
    portions = list(Choice(DISCARD, names).portions(queues[0]._store))
    assert [(queue, len(ids)) for queue, ids in portions] == [(name, 3) for name in names]
    for queue in queues:
        queue.discard_dead(all=True)
