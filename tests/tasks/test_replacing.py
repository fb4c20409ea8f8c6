"""Tasks that return a signature are replaced by it, on every kind of server, and inside `queue.testing()`.

Of this kind: each kind of signature that is returned; a task that is replaced alone, as a step of each form, with links and
errbacks, gates, a unique key; what fails in its place, is retried, revoked; loops and recursion up to their bound; async and
generator tasks, tasks by value, signed queues; what cannot take the place of a task. The script itself, at random:
tests/tasks/broker/test_workflows_at_random.py; processes that are killed: tests/crash/test_steps.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import ConfigError, DuplicateTask, HotQueue, SerializationError, TaskRevoked
from hotqueue.runtime import testing_mode
from hotqueue.tasks import State, Task, chain, chord, current_task, group
from hotqueue.tasks.client.client import client_of
from hotqueue.tasks.client.definition import definition_of
from hotqueue.tasks.workflow import replacing
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]


class On:
    """A queue on which functions of a test are tasks, known to workers of this process by their names."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue = queue
        self.add = self(lambda a, b=0: a + b, "add")
        self.total = self(lambda numbers: sum(numbers), "total")
        self.boom = self(_boom, "boom")
        self.caught = self(_caught, "caught")

    def __call__(self, function: Callable[..., Any], name: str = "", **options: Any) -> Any:
        task = self.queue.task(name=name or function.__name__, **options)(function)
        definition_of(task).by_value = False
        return task

    def returning(self, make: Callable[..., Any], **options: Any) -> Any:
        return self(lambda *args: make(*args), f"returning{len(self.queue.tasks)}", **options)

    def work(self) -> None:
        if not testing_mode.sandbox:
            self.queue.run_worker(burst=True)


def _boom(*_: Any) -> None:
    raise KeyError("boom")


def _caught(request: Any, error: BaseException, traceback: str, *more: Any) -> str:
    sample.seen.append((request.task, repr(error), "KeyError" in traceback, *more))
    return "caught"


@pytest.fixture(params=["worker", "testing"])
def on(request: pytest.FixtureRequest, make_queue: MakeQueue) -> Any:
    """Tasks of a queue, for a worker or inside `testing()`; in the end nothing is left of them that does not end by itself."""
    made = On(make_queue())
    if request.param == "testing":
        with made.queue.testing():
            yield made
        return
    yield made
    made.queue.discard_dead(all=True)
    while client_of(made.queue).broker.let_go():
        pass
    prefix = f"{{hotqueue:{made.queue.name}}}:"
    store = made.queue._store
    for name in (
        "tasks",
        "attempts",
        "steps",
        "dead:steps",
        "steps:todo",
        "steps:open",
        "owned",
        "owned:over",
        "gated",
        "unique",
    ):
        assert store.command(prefix + name, "EXISTS", prefix + name) == 0, name


def test_its_result_is_that_of_what_it_returns(on: On) -> None:
    add, total, returning = on.add, on.total, on.returning
    ten = [add.s(n) for n in range(10)]
    forms: list[tuple[Any, Any]] = [
        (returning(lambda n: add.s(n, 1)).s(4), 5),
        (returning(lambda n: add.si(n, 1)).s(4), 5),
        (returning(lambda: chain(add.s(1), add.s(2), add.s(3))).s(), 6),
        (returning(lambda: group(ten)).s(), list(range(10))),
        (returning(lambda: group(group(add.s(1), add.s(2)), add.s(3))).s(), [[1, 2], 3]),
        (returning(lambda: chord(ten, total.s())).s(), 45),
        (returning(lambda: chain(group(ten), total.s(), group(add.s(1), add.s(2)))).s(), [46, 47]),
        (returning(lambda: chord([on.boom.s(), add.s(2)], total.s(), allow_failures=True)).s(), 2),
        (returning(lambda: add.starmap([(1, 2), (3, 4)])).s(), [3, 7]),
        (returning(lambda: add.s(1).set(task_id="own")).s(), 1),
        (returning(lambda: add.s(1).set(countdown=0.01)).s(), 1),
        (returning(lambda: group([])).s(), []),
        (returning(lambda: chain()).s(), None),
        (returning(lambda: chord([], total.s())).s(), 0),
        (returning(lambda: returning(lambda: add.s(1) | add.s(1)).s() | add.s(10)).s(), 12),
    ]
    sent = [(form.delay(), expected) for form, expected in forms]
    on.work()
    assert [result.get(timeout=30) for result, _ in sent] == [expected for _, expected in sent]
    assert {result.state for result, _ in sent} == {State.SUCCESS}


def test_it_is_replaced_where_it_stands(on: On) -> None:
    add, total = on.add, on.total
    one = on.returning(lambda n=0: add.s(n, 1))
    three = on.returning(lambda n=0: chain(add.s(n, 1), one.s(), add.s(1)))
    wide = on.returning(lambda n=0: group(add.s(n, 1), add.s(n, 2)))
    forms: list[tuple[Any, Any]] = [
        (chain(add.s(1), one.s(), three.s(), add.s(100)), 105),
        (chain(wide.s(1), total.s()), 5),
        (group(one.s(1), three.s(1), wide.s(1)), [2, 4, [2, 3]]),
        (chord([one.s(1), three.s(1), add.s(1)], total.s()), 7),
        (chord([add.s(1)], on.returning(lambda numbers: chain(total.s(numbers), one.s())).s()), 2),
        (chain(add.s(1), group(one.s(), wide.s())), [2, [2, 3]]),
        (on.returning(lambda n: one.s(n), ignore_result=True).s(1) | add.s(5), 7),
    ]
    sent = [(form.delay(), expected) for form, expected in forms]
    linked = three.apply_async((1,), link=add.s(10).set(task_id="link"))
    behind = add.apply_async((1, 1), depends_on=[linked])
    on.work()
    assert [result.get(timeout=30) for result, _ in sent] == [expected for _, expected in sent]
    assert (linked.get(timeout=30), on.queue.result("link").get(timeout=30), behind.get(timeout=30)) == (4, 14, 2)


def test_by_replace_and_async_and_what_is_called_here(on: On) -> None:
    def replaced(self: Task[..., Any], n: int) -> None:
        try:
            self.replace(on.add.s(n, 1))
        finally:
            sample.seen.append(self.request.id)

    async def areplaced(n: int) -> None:
        current_task.replace(on.add.s(n, 1) | on.add.s(1))

    async def areturned(n: int) -> Any:
        return on.add.s(n, 1) | on.add.s(1)

    bound, later, last = on(replaced, bind=True), on(areplaced), on(areturned)
    sent = bound.delay(1), later.delay(1), last.delay(1), on.returning(lambda: areturned(1)).delay()
    on.work()
    assert [result.get(timeout=30) for result in sent] == [2, 3, 3, 3]
    assert sample.seen == [sent[0].id]
    with pytest.raises(TypeError, match="replace\\(\\) takes a signature"):
        bound.replace(3)
    loop = on(lambda n: loop.s(n - 1) if n else "end", "loop")
    assert (loop.s(5)(), chain(loop.s(5), on.add.s("!"))()) == ("end", "end!")
    assert chain(later.s(1), on.add.s(1))() == 4


def test_loops_and_recursion_go_on_to_their_bound(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "MOST_REPLACED", 30)
    loop = on(lambda n: loop.s(n - 1) if n else current_task.request._envelope.flow["replaced"], "loop")
    deep = on(lambda n: deep.s(n - 1) | on.add.s(1) if n else 0, "deep")
    ends, too_long, down, too_deep = loop.delay(30), loop.delay(31), deep.delay(30), deep.delay(31)
    on.work()
    assert (ends.get(timeout=30), down.get(timeout=30)) == (30, 30)
    with pytest.raises(RecursionError, match=rf"task {too_long.id} \(loop\) was replaced 30 times.*send the next one by delay"):
        too_long.get(timeout=30)
    with pytest.raises(RecursionError, match=r"\(deep\) was replaced 30 times"):
        too_deep.get(timeout=30)


def test_what_fails_in_its_place_has_it_fail(on: On) -> None:
    add, boom, caught = on.add, on.boom, on.caught
    one, first = on.returning(lambda *_: boom.s()), on.returning(lambda *_: chain(boom.s(), add.s(1)))
    inner = on.returning(lambda *_: chain(add.s(1), first.s(), add.s(1)))
    own = on.returning(lambda *_: chain(add.s(1), boom.s()).on_error(caught.s("own")))
    sent = [
        one.s().on_error(caught.s("one")).delay(),
        first.s().on_error(caught.s("first")).delay(),
        inner.s().on_error(caught.s("inner")).delay(),
        chain(add.s(1), inner.s(), add.s(1)).on_error(caught.s("chain")).delay(1),
        chord([add.s(1), first.s()], on.total.s()).on_error(caught.s("chord")).delay(),
        chain(add.s(1), own.s(), add.s(1)).delay(1),
    ]
    fine = chord([add.s(1), first.s()], on.total.s(), allow_failures=True).delay()
    on.work()
    for result in sent:
        with pytest.raises(KeyError, match="boom"):
            result.get(timeout=30)
    assert fine.get(timeout=30) == 1
    assert sorted(told[3] for told in sample.seen) == ["chain", "chord", "first", "inner", "one", "own"]
    assert all(told[1:3] == ("KeyError('boom')", True) for told in sample.seen)


def test_what_failed_in_its_place_is_retried(on: On) -> None:
    failing = [True]

    def sometimes(n: int) -> int:
        if failing:
            raise OSError("not yet")
        return n + 1

    task = on(sometimes)
    inner = on.returning(lambda n: chain(task.s(n), on.add.s(10)))
    outer = chain(inner.s(1), on.add.s(100)).delay()
    alone = on.returning(lambda: task.s(1)).delay()
    on.work()
    assert (outer.state, outer.parent.state, alone.state) == (State.FAILURE,) * 3
    failing.clear()
    assert on.queue.retry_dead(all=True) == 2
    on.work()
    assert (outer.get(timeout=30), alone.get(timeout=30)) == (112, 2)


def test_each_replacement_has_a_history_and_options_of_its_own(on: On) -> None:
    def flaky(times: int) -> int:
        sample.seen.append((current_task.request.retries, current_task.resumed))
        if current_task.request.retries < times:
            raise OSError("again")
        return times

    def retried(n: int) -> Any:
        if current_task.request.retries < 2:
            current_task.checkpoint("mine")
            raise OSError("again")
        return task.s(n)

    task = on(flaky, max_retries=3, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0)
    result = on(retried, max_retries=2, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0).delay(2)
    on.work()
    assert result.get(timeout=30) == 2
    assert sample.seen == [(0, None), (1, None), (2, None)]
    assert result.retries == 2


def test_what_it_knows_of_the_workflow_goes_along(on: On) -> None:
    def told(*_: Any) -> Any:
        request = current_task.request
        return request.id, request.root_id, request.parent_id, request.headers

    task = on(told)
    single = on.returning(lambda *_: task.s().set(headers={"own": 1})).apply_async(headers={"tenant": 7})
    several = chain(on.add.s(1), on.returning(lambda *_: group(task.s(), task.s())).s()).set(headers={"tenant": 7}).delay(1)
    on.work()
    assert single.get(timeout=30) == (single.id, single.id, single.id, {"tenant": 7, "own": 1})
    for member in several.get(timeout=30):
        assert member[1:] == (several.root.id, several.id, {"tenant": 7})
    assert [node.id for node in on.queue.workflow(several.id).nodes] == [several.root.id, several.id]


@pytest.mark.parametrize(
    "make", [lambda on: on.add.s(1), lambda on: group(on.add.s(n) for n in range(3))], ids=["one", "several"]
)
def test_its_slots_go_to_others_and_its_unique_key_stays(make_queue: MakeQueue, make: Any) -> None:
    on = On(make_queue())
    limited = on.returning(lambda *_: make(on), max_concurrency=1, concurrency_key="one", unique="job")
    result = limited.delay()
    with pytest.raises(DuplicateTask):
        limited.delay()
    slow = on(lambda *_: limited.s().set(unique=False), "slow", max_concurrency=1, concurrency_key="one")
    others = [slow.delay() for _ in range(3)]
    paused = on(lambda: on.add.s(1) | on.add.s(1), "paused", unique=True)
    held = paused.delay()
    on.queue.pause("add")
    on.work()
    for task in (limited, paused):
        with pytest.raises(DuplicateTask):
            task.delay()
    on.queue.resume("add")
    on.work()
    assert held.get(timeout=30) == 2
    assert [each.get(timeout=30) for each in (result, *others)] == [result.get(timeout=30)] * 4
    assert (limited.delay().id, paused.delay().id) != (result.id, held.id)
    on.work()
    store, prefix = on.queue._store, f"{{hotqueue:{on.queue.name}}}:"
    assert store.command(prefix + "unique", "EXISTS", prefix + "unique") == 0


def test_what_waits_in_its_place_is_revoked_with_it(on: On) -> None:
    deep = on.returning(lambda *_: chain(on.add.s(1), on.add.s(1)))
    task = on.returning(lambda: chain(deep.s(), on.add.s(1)))
    on.queue.pause("add")
    alone, whole, members = task.delay(), chain(task.s(), on.add.s(1)).delay(), group(task.s(), task.s()).delay()
    on.work()
    assert on.queue.pending() > 0
    assert [node.state for node in on.queue.workflow(alone.id).nodes] == [State.PENDING] * 2
    assert (alone.revoke(), whole.revoke()) == ("revoked", "revoked")
    assert members.revoke() == 6
    assert on.queue.pending() == 0
    on.queue.resume("add")
    on.work()
    for result in (alone, whole, *members):
        with pytest.raises(TaskRevoked):
            result.get(timeout=30)


def test_what_cannot_take_its_place_has_it_fail(on: On) -> None:
    def items() -> Any:
        yield 1
        return on.add.s(1)

    wrong: list[tuple[Any, type[Exception], str]] = [
        (on.returning(lambda: on.add.s(_unknown)), SerializationError, "cannot travel"),
        (on.returning(lambda: group(on.add.s(n) for n in range(1001))), ConfigError, "1,002 steps.*at most 1,000"),
        (on(items, "items"), TypeError, "is a generator task, and cannot be replaced"),
    ]
    sent = [task.delay() for task, _, _ in wrong]
    on.work()
    for result, (_, kind, text) in zip(sent, wrong, strict=True):
        with pytest.raises(kind, match=text):
            result.get(timeout=30)


class _Unknown:
    def __reduce__(self) -> Any:
        raise TypeError("it holds a lock")


_unknown: Any = _Unknown()


def test_by_value_and_signed(on: On, make_queue: MakeQueue) -> None:
    queue = make_queue(secret_key="k" * 20)
    plus = queue.task(lambda n: n + 1)
    twice = queue.task(lambda n: plus.s(n) | plus.s())  # they travel by value
    result = chain(twice.s(1), plus.s()).delay()
    if not testing_mode.sandbox:
        queue.run_worker(burst=True)
    assert result.get(timeout=30) == 4
    if not testing_mode.sandbox:
        while client_of(queue).broker.let_go():
            pass
