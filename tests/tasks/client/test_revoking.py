"""`revoke_all` and `purge`, as users call them: what is meant, what comes back, what is refused.

Of this kind: each argument, and each value that cannot be one; tasks that run, that a worker has fetched and not started, that
are sent meanwhile. Wherever a task may wait: tests/tasks/broker/test_revoking_many.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hotqueue import HotQueue, TaskRevoked
from hotqueue.tasks import State
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.working import in_background

MakeQueue = Callable[..., HotQueue]


@pytest.fixture
def shop(make_queue: MakeQueue) -> HotQueue:
    queue = make_queue()
    queue.task(name="note")(sample.note)
    queue.task(name="double")(sample.double)
    return queue


def test_what_waits_is_revoked_and_counted(shop: HotQueue) -> None:
    note, double = shop.tasks["note"], shop.tasks["double"]
    sent = [note.delay(1), note.apply_async((2,), countdown=60), double.delay(3)]
    assert (shop.purge(task=note), shop.pending()) == (2, 1)
    assert [result.state for result in sent] == [State.REVOKED, State.REVOKED, State.PENDING]
    with pytest.raises(TaskRevoked, match=f"task {sent[0].id} was revoked"):
        sent[0].get(timeout=1)
    assert (shop.purge("nobody"), shop.purge(), shop.purge()) == (0, 1, 0)


@pytest.mark.servers("server")
def test_by_state(shop: HotQueue) -> None:
    note = shop.tasks["note"]
    note.delay(1)
    note.apply_async((2,), countdown=60)
    assert (shop.purge(state="parked"), shop.purge(state="scheduled"), shop.purge(state="waiting")) == (0, 1, 1)


def test_by_headers(shop: HotQueue) -> None:
    note = shop.tasks["note"]
    sent = [note.apply_async((n,), headers={"tenant": n, "kind": "mail"}) for n in (7, 8)]
    assert (shop.revoke_all(headers={"tenant": 7}), [result.state for result in sent]) == (1, ["REVOKED", "PENDING"])
    assert (shop.revoke_all(task="double", headers={"kind": "mail"}), shop.revoke_all("note", {"kind": "mail"})) == (0, 1)


@pytest.mark.servers("server")
def test_by_headers_of_tasks_with_gates_that_are_unique(make_queue: MakeQueue) -> None:
    queue = make_queue()
    bill = queue.task(name="bill", max_concurrency=1, rate_limit="9/s", unique=True)(sample.note)
    sent = [bill.apply_async((n,), headers={"tenant": n}) for n in (7, 8, 7777)]
    assert (queue.revoke_all(headers={"tenant": 7}), queue.revoke_all(headers={"tenant": 9})) == (1, 0)
    assert [result.state for result in sent] == ["REVOKED", "PENDING", "PENDING"]
    assert bill.apply_async((7,)).id != sent[0].id  # nothing is left of its lock
    assert queue.purge(state="waiting") == 3


@pytest.mark.servers("server")
def test_from_asyncio(shop: HotQueue) -> None:
    async def main() -> list[int]:
        shop.tasks["note"].map(range(3))
        return [await shop.arevoke_all("note"), await shop.apurge()]

    assert asyncio.run(main()) == [3, 0]


@pytest.mark.servers("server")
def test_with_a_secret_key(make_queue: MakeQueue) -> None:
    queue = make_queue(secret_key="s" * 32)
    result = queue.submit(sample.double, 2)
    assert (queue.purge(), result.state) == (1, State.REVOKED)
    with pytest.raises(TaskRevoked):
        result.get(timeout=1)


@pytest.mark.servers("server")
def test_one_that_runs_goes_on_and_is_not_counted(shop: HotQueue) -> None:
    running = shop.task(name="hold")(sample.hold).delay("told")
    worker = in_background(shop)
    wait_until(lambda: running.state is State.STARTED and sample.seen)
    behind = [shop.tasks["note"].delay(n) for n in range(3)]
    assert shop.purge() == 3
    assert shop.revoke_all(all=True) == 0
    sample.go_on.set()
    worker.join(10)
    assert running.get(timeout=30) == "told"
    assert {result.state for result in behind} == {State.REVOKED}


@pytest.mark.servers("server")
def test_what_is_sent_meanwhile_stays(shop: HotQueue) -> None:
    note, before, after, is_over = shop.tasks["note"], [], [], threading.Event()
    before = list(note.map(range(3000)))

    def send() -> None:
        while not is_over.is_set():
            after.append(note.delay(0))

    sender = threading.Thread(target=send)
    sender.start()
    wait_until(lambda: after)
    known = len(after)
    count = shop.purge()
    known_then = len(after)
    is_over.set()
    sender.join()
    assert 3000 + known <= count <= 3000 + known_then + 1
    assert shop.pending() == 3000 + len(after) - count > 0
    assert {result.state for result in before[::500]} == {State.REVOKED}


@pytest.mark.servers("server")
@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda q: q.purge(state="wating"),
            ValueError,
            "one of waiting, scheduled, retrying, parked, not 'wating'; did you mean",
        ),
        (lambda q: q.purge(state=7), ValueError, "not 7"),
        (lambda q: q.purge(task=7), TypeError, "takes a task, or its name such as 'shop.price', not 7"),
        (lambda q: q.purge(task="two words"), TypeError, "not 'two words'"),
        (lambda q: q.purge(task=""), TypeError, "not ''"),
        (lambda q: q.purge(tsk="x"), TypeError, "did you mean 'task'"),
        (lambda q: q.revoke_all(headers=["tenant"]), TypeError, r"takes a dict of what headers have, such as \{'tenant': 7\}"),
        (lambda q: q.revoke_all(headers={}), TypeError, r"not \{\}"),
        (lambda q: q.revoke_all(headers={7: 1}), TypeError, "not 7: 1"),
        (lambda q: q.revoke_all(headers={"a": [1]}), TypeError, r"not 'a': \[1\]"),
        (lambda q: q.revoke_all(headers={"a": float("nan")}), ValueError, "cannot be what a task has"),
        (lambda q: q.revoke_all(headers={"a": "\ud800"}), ValueError, "cannot be what a task has"),
        (
            lambda q: q.revoke_all(),
            TypeError,
            r"takes task=, headers= or schedule=, or else all=True for every task of the queue$",
        ),
        (lambda q: q.revoke_all(all=False), TypeError, "or else all=True"),
        (lambda q: q.revoke_all(all=1), TypeError, "or else all=True.*, not all=1"),
        (lambda q: q.revoke_all("shop.price", all=True), TypeError, "or else all=True"),
        (lambda q: asyncio.run(q.arevoke_all()), TypeError, "or else all=True"),
        (lambda q: q.revoke_all("x" * 1001), TypeError, "or its name such as"),
        (lambda q: q.revoke_all(schedule=7), TypeError, "takes the name of a schedule, not 7"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: HotQueue, call: Callable[[HotQueue], Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call(shop)


def test_inside_testing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(name="note")(sample.note)
    with queue.testing():
        queue.pause()
        sent = [note.apply_async((n,), headers={"tenant": n}) for n in range(3)]
        later = note.apply_async((3,), countdown=60)
        assert (queue.revoke_all(headers={"tenant": 1}), queue.purge(state="scheduled")) == (1, 1)
        assert (queue.purge("other"), queue.purge(note)) == (0, 2)
        assert {result.state for result in (*sent, later)} == {State.REVOKED}
    assert sample.seen == []
