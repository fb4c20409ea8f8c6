"""Workflows as users have them, on every kind of server, with workers of this process; each also inside `queue.testing()`.

Of this kind: what goes from step to step in each form, nested ones too; a failure at each place, and who is told; what is found
again by an id; revoked, paused and dead steps; async tasks, methods, tasks by value, signed queues; from asyncio. How signatures
are put together: tests/tasks/workflow; what the scripts do: tests/tasks/broker/test_workflows.py.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hotqueue import DuplicateTask, HotQueue, ResultTimeout, TaskRevoked, UnknownTask, keys
from hotqueue.runtime import testing_mode
from hotqueue.tasks import State, chain, chord, group
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.client.definition import definition_of
from tests.tasks import sample
from tests.tasks.workflow import tasks as library


class Tasks:
    """The tasks of `library` on a queue of the test, known to workers of this process by their names."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue = queue

    def __getattr__(self, name: str) -> Any:
        task = getattr(library, name)
        known = definition_of(task)
        made = self.queue.task(**known.options.differing(), name=name)(task.__wrapped__)
        definition_of(made).by_value = False
        setattr(self, name, made)
        return made

    def work(self) -> None:
        self.queue.run_worker(burst=True)


@pytest.fixture(params=["worker", "testing"])
def on(request: pytest.FixtureRequest, make_queue: Callable[..., HotQueue]) -> Any:
    """A queue's tasks, for a worker or inside `testing()`, where all has run when it was sent."""
    tasks = Tasks(make_queue())
    if request.param == "worker":
        yield tasks
        tidy_up(tasks.queue)
    else:
        with tasks.queue.testing():
            tasks.work = lambda: None  # type: ignore[method-assign]
            yield tasks


def tidy_up(queue: HotQueue) -> None:
    """Throw away what is dead, and what is kept for those behind it; upkeep does the latter each second."""
    queue.discard_dead(all=True)
    while client_of(queue).broker.let_go():
        pass


def test_what_goes_from_step_to_step(on: Tasks) -> None:
    add, square, asquare, total, same, quiet = on.add, on.square, on.asquare, on.total, on.same, on.quiet
    ten = group(square.s(n) for n in range(10))
    forms: list[tuple[Any, Any]] = [
        (square.s(2) | asquare.s() | add.s(1), 17),
        (group(square.s(1), asquare.s(2)), [1, 4]),
        (group(group(square.s(1), square.s(2)), square.s(3), group([])), [[1, 4], 9, []]),
        (chord(ten, total.s()), 285),
        (chord([square.s(2)], same.s()), ([4],)),
        (chord([], same.s()), ([],)),
        (chord([group(square.s(1), asquare.s(2)), square.s(3)], same.s("more")), ([[1, 4], 9], "more")),
        (chain(square.s(2), group(add.s(1), add.s(2)), total.s(), square.s()), 121),
        (chain(ten, group(total.s(), same.si(1), total.s()), same.s()), ([285, (1,), 285],)),
        (chain(square.s(2), group([]), same.s()), ([],)),
        (chain(quiet.s(1), quiet.s(), add.s(1)), 4),
        (chain(square.s(1), chord([add.s(1), add.s(2)], total.s()), add.s(10)), 15),
        (chord([on.boom.s(), square.s(2)], same.s(), allow_failures=True), ([4],)),
        (
            chord([group(on.boom.s(), square.s(2), group(on.boom.s())), square.s(3)], same.s(), allow_failures=True),
            ([[4, []], 9],),
        ),
        (add.starmap([(1, 2), (3,)]), [3, 3]),
        (chain(square.s(2), add.starmap([(1, 2), (3,)]), total.s()), 6),  # as `si`, it takes nothing of the step before it
        (chord([square.s(2)], add.chunks([(1, 2), (3,)], 1)), [[3], [3]]),
        (same.s(1, k=2), (1, {"k": 2})),
        (square.chunks(((n,) for n in range(5)), 2), [[0, 1], [4, 9], [16]]),
        (chain(on.bound.s(3), same.s()), (("bound", 3),)),
    ]
    sent = [(form.delay(), expected) for form, expected in forms]
    on.work()
    assert [result.get(timeout=30) for result, _ in sent] == [expected for _, expected in sent]


def test_a_failure_ends_what_is_behind_it_and_is_raised_there(on: Tasks) -> None:
    add, boom, caught = on.add, on.boom, on.caught
    alone = boom.s(0).on_error(caught.s("alone")).delay()
    steps = chain(add.s(1), boom.s(), add.s(1), add.s(1)).on_error(caught.s("chain")).delay(0)
    members = group(boom.s(1), add.s(2), boom.s(3)).on_error(caught.s("group")).delay()
    header = chord([boom.s(4), add.s(5), boom.s(6)], on.total.s()).on_error(caught.s("chord")).delay()
    body = chord([add.s(7)], boom.s()).on_error(caught.s("body")).delay()
    fine = chain(add.s(1), add.s(2)).on_error(caught.s("fine")).delay(0)
    on.work()
    for result in (alone, steps, members, header, body):
        with pytest.raises(KeyError, match="boom"):
            result.get(timeout=30)
    assert fine.get(timeout=30) == 3
    assert [node.state for node in on.queue.workflow(fine.id).nodes] == ["SUCCESS", "SUCCESS", "UNKNOWN"]
    assert sorted(told[3] for told in sample.seen) == ["alone", "body", "chain", "chord", "group", "group"]
    assert {told[0] for told in sample.seen} == {"boom"}
    error = steps.get(timeout=5, propagate=False)
    failed = steps.root.children[0]
    assert f"It arose in task {failed.id}, an earlier step of the workflow; task {steps.id} was not run." in error.__notes__
    assert [node.state for node in on.queue.workflow(steps.id).nodes[:4]] == ["SUCCESS", "FAILURE", "FAILURE", "FAILURE"]
    assert (members.failed(), members.completed_count(), members.ready()) == (True, 1, True)


def test_a_dead_step_that_is_retried_goes_on(on: Tasks) -> None:
    fails = [True]

    def sometimes(n: int) -> int:
        if fails:
            raise OSError(fails.pop())
        return n

    task = on.queue.task(name="sometimes")(sometimes)
    definition_of(task).by_value = False
    last = chain(task.s(3), on.square.s()).delay()
    on.work()
    assert last.state is State.FAILURE
    assert on.queue.retry_dead(last.root) == 1
    on.work()
    assert last.get(timeout=30) == 9


def test_what_waits_is_revoked(on: Tasks) -> None:
    on.queue.pause()
    steps = chain(on.square.s(2), on.square.s(), on.square.s()).delay()
    members = group(on.square.s(n) for n in range(3)).delay()
    with pytest.raises(ResultTimeout):
        steps.get(timeout=0)
    assert (steps.state, steps.root.revoke(), members.revoke()) == (State.PENDING, "revoked", 3)
    on.queue.resume()
    on.work()
    with pytest.raises(TaskRevoked):
        steps.get(timeout=30)
    assert {result.state for result in (steps, steps.root, steps.parent, *members)} == {State.REVOKED}


def test_revoking_the_last_step_revokes_all_that_wait_and_revoking_another_those_behind_it(on: Tasks) -> None:
    on.queue.pause()
    whole, again, part = [chain(on.square.s(2), on.square.s(), on.square.s()).delay() for _ in range(3)]
    assert whole.revoke() == "revoked"
    assert on.queue.result(again.id).revoke() == "revoked"
    assert part.parent is not None
    assert part.parent.revoke() == "revoked"
    on.queue.resume()
    on.work()
    for result in (whole, again):
        assert [node.state for node in on.queue.workflow(result.id).nodes] == [State.REVOKED] * 3
    assert [node.state for node in on.queue.workflow(part.id).nodes] == [State.SUCCESS, State.REVOKED, State.REVOKED]


def test_what_an_errback_was_told_goes_on(on: Tasks) -> None:
    on.boom.s(1).on_error(on.same.s() | on.same.s().set(task_id="told")).delay()
    on.work()
    ((request, error, _),) = on.queue.result("told").get(timeout=30)
    assert (request.task, repr(error)) == ("boom", "KeyError('boom', 1)")


def test_what_is_found_again_by_an_id(on: Tasks) -> None:
    last = chain(on.who.s(), group(on.who.s(), on.who.s()), on.who.s()).set(headers={"tenant": 7}).delay()
    sent = group(on.square.s(2), on.square.s(3)).delay()
    named = (on.square.s(2) | on.square.s()).apply_async(task_id="mine")
    on.work()
    queue, found = on.queue, pickle.loads(pickle.dumps(last))
    told = found.get(timeout=30)
    assert (told["root"], told["headers"]) == (last.root.id, {"tenant": 7})
    assert [each["parent"] for each in queue.result(last.id).parent.get(timeout=30)] == [last.root.id] * 2
    assert queue.results(sent.id).get(timeout=30) == pickle.loads(pickle.dumps(sent)).get(timeout=30) == [4, 9]
    assert (named.id, queue.result("mine").get(timeout=30), len(queue.workflow("mine").nodes)) == ("mine", 16, 2)
    assert len(queue.workflow(last.id).edges) == 4
    nodes = queue.workflow(last.id).nodes
    for each in (last.root.get(timeout=30), *last.parent.get(timeout=30), told):
        assert nodes[each["step"]].id == each["id"]
    with pytest.raises(UnknownTask):
        queue.results("nobody")


def test_a_workflow_sent_again_under_its_id_is_the_same(on: Tasks) -> None:
    who = on.who.s
    makers: list[tuple[Callable[[], Any], int, Callable[[], Any]]] = [
        (lambda: chain(who(), who(), who()), 3, lambda: chain([who()] * 5)),
        (lambda: group(who(), who()), 2, lambda: group([who()] * 3)),
        (lambda: chord([who(), who()], who()).on_error(on.caught.s("no")), 3, lambda: chain([who()] * 5)),
        (lambda: who() | group(who(), who()), 3, lambda: who() | group([who()] * 3)),
    ]
    for number, (make, steps, other) in enumerate(makers):
        task_id = f"again é{number}" * 20
        one, two = make().set(task_id=task_id).delay(), make().apply_async(task_id=task_id)
        if on.queue.pending():
            assert on.queue.pending() == steps + ("chord" in repr(make()))
        on.work()
        three = make().clone().set(task_id=task_id).delay()
        assert on.queue.pending() == 0
        assert one.id == two.id == three.id == task_id
        assert one.get(timeout=30) == two.get(timeout=30) == three.get(timeout=30)
        with pytest.raises(DuplicateTask, match="others of its workflow are not"):
            other().apply_async(task_id=task_id)


def test_a_workflow_whose_id_was_forgotten_is_sent_anew(on: Tasks) -> None:
    who = on.who.s
    makers: list[Callable[[], Any]] = [
        lambda: chain(who(), who(), who()),
        lambda: who().set(link=on.same.s()),
        lambda: who().on_error(on.caught.s("no")),
        lambda: chord([who(), who()], who()),
    ]
    for number, make in enumerate(makers):
        for _ in range(2):
            sent = make().apply_async(task_id=f"again-{number}")
            on.work()
            assert sent.get(timeout=30)["id"] == f"again-{number}"
            sent.forget()

    async def main() -> None:
        await makers[0]().aapply_async(task_id="again-0")
        await on.queue.aclose()

    asyncio.run(main())
    on.work()
    assert on.queue.result("again-0").get(timeout=30)["id"] == "again-0"
    with pytest.raises(DuplicateTask, match="others of its workflow are not"):
        chain([who()] * 5).apply_async(task_id="again-0")


def test_links_and_tasks_that_were_sent_earlier(on: Tasks) -> None:
    queue, first = on.queue, on.square.delay(2)
    linked = on.square.apply_async((3,), link=[on.add.s(1).set(task_id="link"), on.add.si(1, 1).set(task_id="other")])
    behind = on.add.apply_async((1, 1), depends_on=[first, linked])
    failed = on.boom.apply_async((1,), link_error=on.caught.s("linked"))
    after = on.add.apply_async((1, 1), depends_on=[failed])
    on.work()
    assert [queue.result(task_id).get(timeout=30) for task_id in ("link", "other")] == [10, 2]
    assert behind.get(timeout=30) == 2
    with pytest.raises(KeyError):
        after.get(timeout=30)
    assert sample.seen == [("boom", "KeyError('boom', 1)", True, "linked")]
    with pytest.raises(UnknownTask):
        on.add.apply_async((1, 1), depends_on=[queue.result("nobody")])


def test_from_asyncio_signed_and_by_value(on: Tasks, make_queue: Callable[..., HotQueue]) -> None:
    queue = make_queue(secret_key="k" * 20)
    plus = queue.task(lambda n: n + 1)  # it travels by value

    async def send() -> list[Any]:
        later = (plus.s() | plus.s()).aapply_async((4,), headers={"a": 1})
        return [await (plus.s(1) | plus.s()).adelay(), await group(plus.s(1), plus.s(2)).adelay(), await later]

    async def wait() -> list[Any]:
        return [await result for result in sent]

    sent = asyncio.run(send())
    if not testing_mode.sandbox:
        queue.run_worker(burst=True)
    assert asyncio.run(wait()) == [3, [2, 3], 6]
    assert len(queue.workflow(sent[0].id).nodes) == 2
    if not testing_mode.sandbox:
        tidy_up(queue)


@pytest.mark.servers("server")
@pytest.mark.parametrize("stays", [60, timedelta(hours=5)], ids=["a minute", "five hours"])
def test_the_graph_stays_as_long_as_the_results(make_queue: Callable[..., HotQueue], stays: float | timedelta) -> None:
    queue = make_queue()
    square = queue.task(name="square")(sample.square)
    whole = (square.s(2) | square.s()).apply_async(result_expires=stays)
    one = (square.s(2).set(result_expires=1) | square.s().set(result_expires=stays)).delay()
    queue.run_worker(burst=True)
    ms = 1000 * (stays.total_seconds() if isinstance(stays, timedelta) else stays)
    for result in (whole, one):
        graph = keys.result(queue.name, f"workflow:{result.id.rpartition('-')[0]}")
        assert ms - 60_000 < queue._store.client().pttl(graph) <= ms


@pytest.mark.servers("server")
def test_the_graph_outlasts_its_last_step_so_that_whoever_revokes_that_finds_those_before_it(
    make_queue: Callable[..., HotQueue],
) -> None:
    queue = make_queue()
    square = queue.task(name="square", result_expires=0)(sample.square)
    result = (square.s(2) | square.s() | square.s()).delay()
    queue.result(result.id).revoke()
    assert queue._store.client().pttl(keys.result(queue.name, f"workflow:{result.id.rpartition('-')[0]}")) > 30_000
    assert queue.run_worker(burst=True) == 0
