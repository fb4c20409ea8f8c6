"""Tasks that are sent by their names, from a program that has no code of them.

Of this kind: what the decorator says where the task is run, against what the call says; what is spent where it is sent; names
that nobody knows, names that are none; keys without a signature; `async def`; batches, signatures, `queue.testing()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, TaskNotRegistered
from hotqueue.tasks.rules.options import TaskOptions, received
from hotqueue.tasks.wire import envelope
from tests.tasks import sample

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def header(sender: HotQueue, name: str = "shop.price", **options: Any) -> dict[str, Any]:
    with sender.batch() as batch:
        call = sender._tasks.call_by_name(name, (), options.pop("kwargs", None), options)
        assert len(batch) == 0
    return envelope.decode(call.task.envelope).header


def test_it_runs_where_its_code_is(make_queue: MakeQueue) -> None:
    here, there = make_queue(), make_queue()
    there.task(name="shop.square")(sample.square)
    results = [
        here.send("shop.square", (3,)),
        here.send("shop.square", kwargs={"n": 4}),
        here.send("shop.square", [5], task_id="five"),
    ]
    with here.batch():
        results.append(here.send("shop.square", (6,)))
    results.append(asyncio.run(sent_by_loop(here)))
    assert here.send("shop.square", (9,), countdown=60, task_id="later").state == "SCHEDULED"
    assert there.run_worker(burst=True) == 5
    assert [result.get(timeout=30) for result in results] == [9, 16, 25, 36, 49]
    assert here.result("five").get(timeout=30) == 25
    here.result("later").revoke()


def test_others_may_follow_it_and_come_before_it(make_queue: MakeQueue) -> None:
    """As with `apply_async` of a task that is at hand."""
    here, there = make_queue(), make_queue()
    square = there.task(name="shop.square")(sample.square)
    double = here.task(name="double")(sample.double)
    there.task(name="double")(sample.double)
    first = here.send("shop.square", (2,))

    async def main() -> Any:
        sent = await here.asend("shop.square", (3,), link=double.s().set(task_id="link"), priority=None)
        await here.aclose()
        return sent

    sent = [asyncio.run(main()), here.send("shop.square", (4,), depends_on=[first], task_id="four", priority=2)]
    failed = here.send("shop.square", ("no",), link_error=double.si(9).set(task_id="told"))
    assert sent[1].id == "four"
    assert there.run_worker(burst=True) == 6
    assert [each.get(timeout=30) for each in (*sent, here.result("link"), here.result("told"))] == [9, 16, 18, 18]
    with pytest.raises(TypeError):
        failed.get(timeout=30)
    with pytest.raises(TypeError, match="unknown option 'prio'"):
        here.send("shop.square", (3,), link=square.s(), prio=2)
    there.discard_dead(all=True)


async def sent_by_loop(queue: HotQueue) -> Any:
    return await queue.asend("shop.square", (7,))


@only_server
def test_a_name_that_no_worker_knows_waits_for_one_that_does(make_queue: MakeQueue) -> None:
    here, there = make_queue(), make_queue()
    there.task(sample.double)
    result = here.send("shop.square", (3,))
    assert there.run_worker(burst=True) == 0
    assert (result.state, there._tasks.broker.needs()) == ("PENDING", ["task:shop.square"])
    there.task(name="shop.square")(sample.square)
    assert there.run_worker(burst=True) == 1
    assert result.get(timeout=30) == 9


@only_server
class TestOptions:
    def test_those_of_the_decorator_hold_where_it_runs(self, make_queue: MakeQueue) -> None:
        here, there = make_queue(), make_queue()
        sample.seen.clear()
        there.task(name="shop.flaky", retries=2, retry_backoff=False, default_retry_delay=0)(sample.flaky)
        there.task(name="shop.note", ignore_result=True)(sample.note)
        flaky, note = here.send("shop.flaky", (2,)), here.send("shop.note", (1,))
        assert there.run_worker(burst=True) == 2
        assert flaky.get(timeout=30) == "done"
        assert flaky.retries == 2
        assert note.result is None
        assert sample.seen == [0, 1, 2, 1] or sorted(sample.seen) == [0, 1, 1, 2]

    def test_those_of_the_call_come_before_them(self, make_queue: MakeQueue) -> None:
        here, there = make_queue(), make_queue()
        there.task(name="shop.boom", retries=5, retry_backoff=False, default_retry_delay=0)(sample.boom)
        for options, retries in (({"max_retries": 1}, 1), ({"max_retries": 0}, 0), ({"retries": 3}, 3), ({}, 5)):
            result = here.send("shop.boom", **options)
            there.run_worker(burst=True)
            assert (result.state, result.retries) == ("FAILURE", retries)
        there.discard_dead(all=True)

    def test_what_is_said_travels_even_if_it_is_the_default(self, make_queue: MakeQueue) -> None:
        sender = make_queue()
        assert "options" not in header(sender)
        assert header(sender, max_retries=3)["options"] == {"max_retries": 3}
        assert header(sender, retries=3)["options"] == {"max_retries": 3, "autoretry": True}
        assert header(sender, time_limit=None, ignore_result=False)["options"] == {"ignore_result": False, "time_limit": None}
        assert "options" not in header(sender, priority=5, queue="other", expires=60, sensitive=True, max_concurrency=3)

    def test_a_choice_of_errors_stays_the_tasks_own(self) -> None:
        own = TaskOptions(autoretry_for=(OSError,), max_retries=7)
        assert received(own, {"autoretry": True, "max_retries": 2}) == TaskOptions(autoretry_for=(OSError,), max_retries=2)
        assert received(TaskOptions(), {"autoretry": True}).autoretry_for == (Exception,)

    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"retrys": 3}, TypeError, r"queue.send\('shop.price'\) got an unknown option 'retrys'; did you mean 'retries'"),
            ({"autoretry_for": (OSError,)}, TypeError, "'autoretry_for': @queue.task has it, it cannot be said for one call"),
            ({"bind": True}, TypeError, "'bind': @queue.task has it"),
            ({"time_limit": -1}, ValueError, r"queue.send\('shop.price'\) time_limit="),
            ({"countdown": 1, "eta": 2}, TypeError, "both countdown= and eta="),
            ({"max_concurrency": 1, "concurrency_key": "t-{tenant}"}, TypeError, r"'tenant', which is no argument.*kwargs=\{…\}"),
            (
                {"kwargs": {"tenant_id": 1}, "max_concurrency": 1, "concurrency_key": "t-{tenant}"},
                TypeError,
                "did you mean 'tenant_id'",
            ),
            (
                {"kwargs": {"tenant": 1}, "max_concurrency": 1, "concurrency_key": "t-{tenant}", "sensitive": ("tenant",)},
                TypeError,
                "which sensitive= hides",
            ),
            ({"max_concurrency": 1, "concurrency_key": "t-{0}"}, ValueError, "names its arguments"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, make_queue: MakeQueue, options: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        sender = make_queue()
        with pytest.raises(error, match=says):
            sender.send("shop.price", (1,), **options)
        assert sender.pending() == 0

    def test_keys_are_made_of_named_arguments(self, make_queue: MakeQueue) -> None:
        sender = make_queue()

        def gate(kwargs: dict[str, Any], key: Any) -> bytes:
            call = sender._tasks.call_by_name("shop.price", (), kwargs, {"max_concurrency": 2, "concurrency_key": key})
            return envelope.decode(call.task.envelope).gates

        assert gate({"tenant": 7}, "t-{tenant}") == b"c2 k:t-7"
        assert gate({}, "everybody") == b"c2 k:everybody"
        assert gate({"tenant": 7}, lambda **given: f"t-{given['tenant']}") == b"c2 k:t-7"
        call = sender._tasks.call_by_name("shop.price", (), {}, {"max_concurrency": 2})
        assert envelope.decode(call.task.envelope).gates == b"c2 t:shop.price"  # as of the task where it is defined

    def test_what_is_sensitive_is_not_shown(self, make_queue: MakeQueue) -> None:
        sender = make_queue()
        call = sender._tasks.call_by_name("shop.login", (), {"user": "ann", "password": "s3cret"}, {"sensitive": ("password",)})
        assert envelope.decode(call.task.envelope).args_repr == "user='ann', password=***"


@only_server
def test_its_parts_may_be_said_by_their_names(make_queue: MakeQueue) -> None:
    here, there = make_queue(), make_queue()
    there.task(name="shop.square")(sample.square)
    result = here.send(name="shop.square", args=None, kwargs={"n": 3})
    assert there.run_worker(burst=True) == 1
    assert result.get(timeout=30) == 9
    with pytest.raises(TypeError):
        here.send("shop.square", kwargs={1: 2})


@pytest.mark.parametrize("name", ["", "two words", 5, None, b"shop.price", "a\nb", "\ud800"])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(TypeError, match=r"queue.send\(\) takes a task's name, such as 'shop.tasks.price', not"):
        HotQueue("q", host="127.0.0.1", port=1, patience=0.1).send(name)


def test_a_task_is_no_name() -> None:
    queue = HotQueue("q", host="127.0.0.1", port=1, patience=0.1)
    with pytest.raises(TypeError, match=r"not <Task .*; a task that is at hand has delay\(\)"):
        queue.send(queue.task(sample.square))  # type: ignore[arg-type]


def test_one_that_is_known_here_is_sent_as_by_apply_async(make_queue: MakeQueue) -> None:
    queue = make_queue()
    square = queue.task(priority=7)(sample.square)
    with pytest.raises(TypeError, match="cannot be called like this"):
        queue.send(square.name, (1, 2))
    call = queue._tasks.call_by_name(square.name, (3,), None, {})
    assert envelope.decode(call.task.envelope).priority == 7


@only_server
def test_an_async_def_runs_on_the_loop(make_queue: MakeQueue) -> None:
    here, there = make_queue(), make_queue()
    there.task(name="shop.asquare")(sample.asquare)
    result = here.send("shop.asquare", (3,))
    assert there.run_worker(burst=True) == 1
    assert result.get(timeout=30) == 9


@only_server
def test_it_is_signed(make_queue: MakeQueue) -> None:
    here, there, other = make_queue(secret_key="k"), make_queue(secret_key="k"), make_queue(secret_key="another")
    for queue in (there, other):
        queue.task(name="shop.square")(sample.square)
    result = here.send("shop.square", (3,))
    assert there.run_worker(burst=True) == 1
    assert result.get(timeout=30) == 9
    refused = here.send("shop.square", (4,))
    other.run_worker(burst=True)
    assert [dead.id for dead in here.dead()] == [refused.id]
    here.discard_dead(all=True)


class TestInsideOfTesting:
    """`queue.testing()`: it runs here, and so has to be known here."""

    def test_one_that_is_known_runs_at_once(self) -> None:
        queue = HotQueue("q", host="127.0.0.1", port=1)
        queue.task(name="shop.square")(sample.square)
        with queue.testing():
            assert queue.send("shop.square", (3,)).get(timeout=30) == 9

    def test_one_that_is_not_is_refused(self) -> None:
        queue = HotQueue("q", host="127.0.0.1", port=1)
        queue.task(name="shop.square")(sample.square)
        with queue.testing(), pytest.raises(TaskNotRegistered, match=r"no task 'shop.cube' on queue 'q'; known are: shop.square"):
            queue.send("shop.cube", (3,))
