"""Workflows over several queues as users have them, on every kind of server, with workers of this process.

Of this kind: each form with steps, members and bodies of another queue; what fails there, is retried, revoked, or waited for by
depends_on=; values that are large, many, or signed; what is seen of it from either queue; stores and keys that differ. What the
scripts do: tests/tasks/broker/test_crossing.py; processes that are killed: tests/crash/test_crossing.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import ConfigError, EarlierStepFailed, HotQueue, QueueFull, TaskRevoked, UnknownTask
from hotqueue.tasks import State, chain, chord, group
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.client.definition import definition_of
from tests.tasks import sample
from tests.tasks.test_workflows import Tasks, tidy_up


class Two:
    """The tasks of `library` on two queues."""

    def __init__(self, make_queue: Callable[..., HotQueue], name: str, **options: Any) -> None:
        self.here, self.there = Tasks(make_queue(name, **options)), Tasks(make_queue(f"{name}-there", **options))
        self.queues = self.here.queue, self.there.queue

    def work(self) -> None:
        """Run all there is, by workers of the one and of the other in turn."""
        while sum(queue.run_worker(burst=True) for queue in self.queues):
            pass


@pytest.fixture
def two(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[Two]:
    made = Two(make_queue, queue_name)
    yield made
    for queue in reversed(made.queues):
        tidy_up(queue)
    made.work()
    for queue in made.queues:
        tidy_up(queue)


def test_steps_that_begin_later_are_not_refused_and_count_as_waiting(two: Two, make_queue: Callable[..., HotQueue]) -> None:
    bounded = make_queue(two.there.queue.name, max_waiting=2)
    results = [chain(two.here.add.s(n, 1), two.there.square.s()).delay() for n in range(3)]
    two.here.queue.run_worker(burst=True)
    assert bounded.pending() == 3
    with pytest.raises(QueueFull, match="3 tasks waiting"):
        bounded.send("tests.tasks.library.square", (1,))
    two.work()
    assert [result.get(timeout=30) for result in results] == [1, 4, 9]


def test_what_goes_from_step_to_step(two: Two) -> None:
    add, total, same = two.here.add, two.here.total, two.here.same
    square, asquare, quiet, there_total, far = (
        getattr(two.there, name) for name in ("square", "asquare", "quiet", "total", "same")
    )
    ten = group((square, asquare)[n % 2].s(n) for n in range(10))
    forms: list[tuple[Any, Any]] = [
        (add.s(1, 1) | square.s() | add.s(1), 5),
        (square.s(2) | add.s(1), 5),
        (add.s(1, 1) | asquare.s(), 4),
        (chain(add.s(1), quiet.s(), quiet.s(), add.s(1)), 4),
        (group(add.s(1, 1), square.s(2), group(asquare.s(3))), [2, 4, [9]]),
        (chord(ten, total.s()), 285),
        (chord(ten, there_total.s()), 285),
        (chord(group(add.s(n) for n in range(5)), there_total.s()), 10),
        (chord([two.there.boom.s(), square.s(2)], same.s(), allow_failures=True), ([4],)),
        (chord([two.here.boom.s(), square.s(2)], far.s(), allow_failures=True), ([4],)),
        (chain(ten, group(total.s(), far.si(1), there_total.s()), far.s()), ([285, (1,), 285],)),
        (chain(add.s(1, 1), square.s(), far.s("x")), (4, "x")),
    ]
    sent = [(form.delay(), expected) for form, expected in forms]
    two.work()
    assert [result.get(timeout=30) for result, _ in sent] == [expected for _, expected in sent]


def test_a_step_comes_to_a_third_queue_at_once(two: Two, make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    """Whoever tells the workflow's home how a step elsewhere ended brings on what home has for a third: it may have no worker."""
    third = Tasks(make_queue(f"{queue_name}-third"))
    last = chain(two.here.add.s(1, 1), two.there.square.s(), third.add.s(1), two.there.square.s()).delay()
    wide = chain(two.here.add.s(1, 1), two.there.square.s(), group(third.add.s(n) for n in range(3)), two.there.total.s()).delay()
    assert [queue.run_worker(burst=True) for queue in (*two.queues, third.queue)] == [2, 2, 4]
    assert two.there.queue.run_worker(burst=True) == 2
    assert (last.get(timeout=30), wide.get(timeout=30)) == (25, 15)


def test_a_task_is_replaced_by_what_goes_through_other_queues(two: Two) -> None:
    add, square, total = two.here.add, two.there.square, two.here.total
    boom, caught = two.there.boom, two.here.caught

    def task(on: Tasks, make: Callable[..., Any]) -> Any:
        made = on.queue.task(name=f"made{len(on.queue.tasks)}")(lambda *_: make())
        definition_of(made).by_value = False
        return made

    forms: list[tuple[Any, Any]] = [
        (task(two.here, lambda: square.s(2)).s(), 4),
        (task(two.here, lambda: chain(square.s(2), add.s(1))).s(), 5),
        (task(two.here, lambda: chain(add.s(1, 1), square.s())).s(), 4),
        (task(two.here, lambda: group(square.s(2), add.s(1, 1))).s(), [4, 2]),
        (chain(add.s(1, 1), task(two.there, lambda: chain(add.s(1, 1), square.s())).s(), add.s(1)), 5),
        (chord([task(two.there, lambda: square.s(3)).s(), add.s(1, 1)], total.s()), 11),
    ]
    sent = [(form.delay(), expected) for form, expected in forms]
    failed = chain(add.s(1, 1), task(two.here, lambda: chain(boom.s(), add.s(1))).s()).on_error(caught.s("here")).delay()
    far = chain(task(two.there, lambda: chain(boom.s(), square.s())).s(), add.s(1)).on_error(caught.s("there")).delay()
    two.work()
    assert [result.get(timeout=30) for result, _ in sent] == [expected for _, expected in sent]
    for result in (failed, far):
        with pytest.raises((KeyError, EarlierStepFailed)):
            result.get(timeout=30)
    assert sorted(told[3] for told in sample.seen) == ["here", "there"]


def test_a_failure_there_is_raised_here_and_retried_there(two: Two) -> None:
    caught = two.here.caught
    steps = chain(two.here.add.s(1), two.there.boom.s(), two.here.add.s(1)).on_error(caught.s("here")).delay(0)
    two.work()
    with pytest.raises(KeyError, match="boom") as raised:
        steps.get(timeout=30)
    failed = steps.root.children[0]
    assert f"It arose in task {failed.id}, an earlier step of the workflow" in raised.value.__notes__[-1]
    assert [told[3] for told in sample.seen] == ["here"]
    assert sample.seen[0][0] == "boom"
    assert [node.state for node in two.here.queue.workflow(steps.id).nodes[:3]] == ["SUCCESS", "FAILURE", "FAILURE"]
    assert two.there.queue.retry_dead(failed.id)
    two.there.queue.run_worker(burst=True)  # fails again
    assert failed.state is State.FAILURE
    assert two.there.queue.discard_dead(all=True) == 1


def test_an_errback_may_be_of_the_other_queue(two: Two) -> None:
    chain(two.here.boom.s(1), two.here.add.s(1)).on_error(two.there.caught.s("there")).delay()
    two.work()
    assert [(told[0], told[3]) for told in sample.seen] == [("boom", "there")]


def test_what_is_seen_of_it_meanwhile(two: Two) -> None:
    two.there.queue.pause()
    result = chain(two.here.add.s(1, 1), two.there.square.s(), two.there.who.s()).delay()
    two.work()
    nodes = two.here.queue.workflow(result.id).nodes
    assert [(node.queue, node.state) for node in nodes] == [
        (two.here.queue.name, "SUCCESS"),
        (two.there.queue.name, "PENDING"),
        (two.there.queue.name, "PENDING"),
    ]
    why = result.parent.why()
    assert (why.reason, str(why).startswith(f"it is a step of queue {two.there.queue.name!r}: ")) == ("paused", True)
    assert result.why().reason == "waits_for_steps"
    two.there.queue.resume()
    two.work()
    ids = [node.id for node in nodes]
    assert result.get(timeout=30) == {"id": ids[2], "root": ids[0], "parent": ids[1], "step": 2, "headers": {}}
    assert two.there.queue.result(ids[2]).get(timeout=30) == result.get(timeout=30)


def test_revoking_it_reaches_the_other_queue_without_any_worker(two: Two) -> None:
    first = chain(two.there.square.s(2), two.here.add.s(1)).delay()
    two.here.queue.run_worker(burst=True)
    assert two.there.queue.pending() == 2  # where it begins, its other step stands as well
    assert first.revoke() == "revoked"
    assert two.there.queue.pending() == 0
    second = chain(two.here.add.s(2), two.there.square.s()).delay(1)
    two.here.queue.run_worker(burst=True)
    assert second.revoke() == "revoked"
    third = group(two.there.square.s(2), two.here.add.s(1)).delay()
    assert third.revoke() == 2
    for result in (first, second):
        with pytest.raises(TaskRevoked):
            result.get(timeout=30)
    assert two.there.queue.pending() == 0


def test_what_is_done_to_a_step_in_its_own_queue_is_heard_at_home_without_any_worker(two: Two) -> None:
    """Purged, or revoked, or thrown away once it is dead."""
    purged, revoked, dead = [
        chain(two.here.add.s(1, 1), each.s(), two.here.add.s(1)) for each in 2 * [two.there.square] + [two.there.boom]
    ]
    failed = dead.delay()
    two.work()
    two.there.queue.retry_dead(all=True)
    assert failed.state is State.PENDING
    two.there.queue.run_worker(burst=True)
    assert two.there.queue.discard_dead(all=True) == 1
    assert failed.state is State.FAILURE
    sent = revoked.delay()
    two.here.queue.run_worker(burst=True)
    assert two.there.queue.result(sent.parent.id).revoke() == "revoked"
    with pytest.raises(TaskRevoked):
        sent.get(timeout=30)
    sent = purged.delay()
    two.here.queue.run_worker(burst=True)
    assert two.there.queue.purge() == 1
    with pytest.raises(TaskRevoked):
        sent.get(timeout=30)


def test_after_tasks_of_another_queue(two: Two) -> None:
    boom, square, add = two.there.boom, two.there.square, two.here.add
    early, late = square.delay(2), square.delay(3)
    two.work()
    failed = boom.delay()
    later = square.apply_async((4,), countdown=3600)
    fine = add.apply_async((1, 1), depends_on=[early, late])
    cut_off, waits = add.apply_async((1, 1), depends_on=[failed]), add.apply_async((1, 1), depends_on=[later])
    two.work()
    assert fine.get(timeout=30) == 2
    with pytest.raises(Exception, match=f"an earlier step failed: task {failed.id}|boom"):
        cut_off.get(timeout=30)
    assert waits.state == State.PENDING
    assert later.revoke() == "revoked"
    two.work()
    with pytest.raises(TaskRevoked):
        waits.get(timeout=30)
    with pytest.raises(UnknownTask, match="unknown in queue"):
        add.apply_async((1, 1), depends_on=[two.there.queue.result("nowhere")])


def test_large_and_many_values_come_along_and_are_gone_in_the_end(two: Two) -> None:
    big = "x" * 300_000
    result = chain(two.here.same.s(big), group(two.there.same.s(n) for n in range(3)), two.there.same.s()).delay()
    wide = chord(group(two.here.add.s(n) for n in range(600)), two.there.total.s()).delay()
    two.work()
    assert [len(each[0][0]) for each in result.get(timeout=30)[0]] == [300_000] * 3
    assert wide.get(timeout=30) == sum(range(600))
    for queue in two.queues:
        tidy_up(queue)
        broker = client_of(queue).broker
        assert (broker.counts()["unfinished"], broker.targets()) == (0, [])


def test_from_an_event_loop(two: Two) -> None:
    async def main() -> Any:
        result = await (two.there.square.s(2) | two.here.add.s(1)).adelay()
        await asyncio.to_thread(two.work)
        return await result

    assert asyncio.run(main()) == 5


def test_signed_queues_take_what_others_of_the_workflow_signed(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    two = Two(make_queue, queue_name, secret_key="a key that is long enough")
    steps = chain(two.here.add.s(1, 1), two.there.square.s(), two.here.add.s(1), two.there.boom.s()).delay()
    chord([two.here.boom.s(), two.there.square.s(2)], two.there.same.s()).on_error(two.there.caught.s("signed")).delay()
    two.work()
    assert steps.parent.get(timeout=30) == 5
    with pytest.raises(KeyError, match="boom"):
        steps.get(timeout=30)
    assert [node.state for node in two.here.queue.workflow(steps.id).nodes][1] == "SUCCESS"
    assert [told[3] for told in sample.seen] == ["signed"]
    for queue in reversed(two.queues):
        tidy_up(queue)
    two.work()
    for queue in two.queues:
        tidy_up(queue)


def test_stores_and_keys_that_differ_are_refused(make_queue: Callable[..., HotQueue], queue_name: str) -> None:
    here = Tasks(make_queue())
    elsewhere = Tasks(HotQueue("elsewhere", host="127.0.0.1", port=1))
    with pytest.raises(ConfigError, match="the queues of a workflow live in one store"):
        chain(here.add.s(1, 1), elsewhere.square.s()).delay()
    signed = Tasks(make_queue(f"{queue_name}-signed", secret_key="a key that is long enough"))
    with pytest.raises(ConfigError, match="another secret key"):
        chain(here.add.s(1, 1), signed.square.s()).delay()


def test_inside_testing_queues_tell_each_other_nothing(two: Two) -> None:
    with two.here.queue.testing():
        early = two.there.square.delay(2)
        assert chain(two.here.add.s(1, 1), two.there.square.s(), two.here.add.s(1)).delay().get(timeout=30) == 5
        with pytest.raises(ConfigError, match="inside queue"):
            two.here.add.apply_async((1, 1), depends_on=[early])
