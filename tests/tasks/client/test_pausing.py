"""`pause` and `resume`, as users call them: of a queue, of a task by its name or itself, and what is refused.

What the scripts make of it: tests/tasks/broker/test_pausing.py. With real workers: tests/crash/test_pausing.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.tasks import State
from tests.tasks import sample
from tests.tasks.working import work

MakeQueue = Callable[..., HotQueue]


class Mail:
    """A class with a task."""

    def send(self) -> str:
        return "sent"


def test_tasks_of_a_name_wait_and_run_once_it_is_resumed(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note, double = queue.task(name="note")(sample.note), queue.task(name="double")(sample.double)
    queue.pause(task=note)
    sent = [note.apply_async((n,), priority=n) for n in (1, 2)]
    assert double.delay(4).id
    assert work(queue) == 1
    assert ([result.state for result in sent], queue.pending()) == ([State.PENDING] * 2, 2)
    assert (sent[0].why().reason, sent[0].why().name, queue.stats()["paused_tasks"]) == ("paused", "note", ["note"])
    queue.resume(task="note")
    assert (work(queue), sample.seen) == (2, [2, 1])


@pytest.mark.servers("server")
def test_what_is_sent_before_waits_as_well(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(name="note")(sample.note)
    later = note.apply_async((1,), countdown=0.01)
    result = note.delay(2)
    queue.pause("note")
    assert (work(queue), later.state, result.state) == (0, State.PENDING, State.PENDING)
    with pytest.raises(ResultTimeout, match="note"):
        result.get(timeout=0.01)


@pytest.mark.servers("server")
@pytest.mark.parametrize("function", [sample.note, sample.anote])
def test_a_burst_is_not_over_while_others_stand_behind_very_many(make_queue: MakeQueue, function: Any) -> None:
    queue = make_queue()
    mail, note = queue.task(name="mail")(function), queue.task(name="note")(function)
    with queue.batch():
        for n in range(2500):
            mail.delay(n)
        note.delay("behind")
    queue.pause("mail")
    assert (work(queue), sample.seen) == (1, ["behind"])
    assert queue.purge("mail") == 2500


@pytest.mark.servers("server")
def test_a_name_that_is_not_known_is_paused_and_one_that_is_near_is_named(
    make_queue: MakeQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue = make_queue()
    queue.task(name="shop.price")(sample.double)
    with caplog.at_level(logging.WARNING, "hotqueue"):
        queue.pause("elsewhere.mail")
        assert caplog.text == ""
        queue.pause("shop.pirce")
    assert "paused task 'shop.pirce', which is not defined here; did you mean 'shop.price'?" in caplog.text
    for name in ("elsewhere.mail", "shop.pirce"):
        queue.resume(name)


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda q: q.pause(task=7), r"queue.pause\(\) task= takes a task, or its name such as 'shop.price', not 7"),
        (lambda q: q.resume(task="two words"), r"queue.resume\(\) task= takes a task"),
        (lambda q: q.pause(""), "not ''"),
        (lambda q: q.pause(sample.double), "takes a task, or its name"),
        (lambda q: q.pause(tsk="x"), "did you mean 'task'"),
        (lambda q: q.pause("x", "y"), "got both task= and key="),
        (lambda q: q.pause(key=7), "key= takes a str that concurrency_key=, rate_limit_key= or fair_key= makes, not 7"),
    ],
)
def test_what_cannot_be_paused_is_refused(make_queue: MakeQueue, call: Callable[[HotQueue], Any], match: str) -> None:
    queue = make_queue()
    with pytest.raises(TypeError, match=match):
        call(queue)
    assert not queue._tasks.broker.paused()


@pytest.mark.servers("server")
@pytest.mark.parametrize("key", ["", "a\nb", "x" * 201, "\ud800"])
def test_what_no_gate_has_is_no_key(make_queue: MakeQueue, key: str) -> None:
    queue = make_queue()
    for call in (queue.pause, queue.resume):
        with pytest.raises(ValueError, match="key= takes 1 to 200 bytes"):
            call(key=key)


def test_tasks_of_a_key_wait_and_run_once_it_is_resumed(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bill = queue.task(name="bill", max_concurrency=2, concurrency_key="tenant-{value}")(sample.note)
    queue.pause(key="tenant-1")
    waiting, other = [bill.delay(1) for _ in range(3)], bill.delay(2)
    assert (work(queue), other.state, queue.stats()["paused_keys"]) == (1, State.SUCCESS, ["tenant-1"])
    why = waiting[0].why()
    assert (waiting[0].state, why.reason, why.what, why.name) == (State.PENDING, "paused", "key", "tenant-1")
    queue.resume(key="tenant-1")
    assert (work(queue), sample.seen, queue.stats()["paused_keys"]) == (3, [2, 1, 1, 1], [])


def test_a_key_inside_testing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bill = queue.task(name="bill", max_concurrency=2, concurrency_key="tenant-{value}")(sample.note)
    with queue.testing():
        queue.pause(key="tenant-1")
        waiting, other = bill.delay(1), bill.delay(2)
        assert (other.get(), waiting.state, waiting.why().reason) == (2, State.PENDING, "paused")
        with pytest.raises(ResultTimeout, match="would wait for ever"):
            waiting.get()
        queue.resume(key="tenant-1")
        assert waiting.get() == 1


def test_inside_testing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note, double = queue.task(name="note")(sample.note), queue.task(name="double")(sample.double)
    with queue.testing():
        queue.pause(task="note")
        waiting = note.delay(1)
        assert (double.delay(4).get(), waiting.state, queue.pending()) == (8, State.PENDING, 1)
        queue.resume()
        assert waiting.state is State.PENDING
        queue.resume(task=note)
        assert (waiting.get(), queue.pending()) == (1, 0)
