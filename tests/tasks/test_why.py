"""Why a task waits: each reason there is, with its facts and its sentence, from real states of real queues, in one round trip.

Of this kind: every reason, from a handle and by the id, of tasks whose arguments nobody here may load; what is not known of a
task of somebody else's. Where the same text is part of a `ResultTimeout`: tests/tasks/client/test_explain.py, test_result.py.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout
from hotqueue.tasks import AsyncResult, State
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.rules.why import REASONS
from hotqueue.tasks.wire import envelope
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.contents import Room, place, sync
from tests.tasks.working import in_background, work

pytestmark = pytest.mark.servers("server")
MakeQueue = Callable[..., HotQueue]
Result = AsyncResult[Any]
LATER = 9_999_999_999_999


class Shop:
    """A queue, and what may be done about it: each method brings a task into one state, and returns it."""

    def __init__(self, queue: HotQueue) -> None:
        self.queue, self.room = queue, Room(queue)
        self.note, self.hold = queue.task(name="note")(sample.note), queue.task(name="hold")(sample.hold)
        self.threads: list[Any] = []

    def worker(self, name: str = "w", known: tuple[str, ...] = ("note", "hold")) -> Session:
        """Have a worker be there that does nothing."""
        session = Session(self.queue._tasks.broker, name, "s", known)
        session.register(60_000, {"host": "web-1", "pid": "42", "name": name, "kind": "s"})
        return session

    def position(self) -> Result:
        self.worker()
        return self.note.map(range(3))[1]

    def paused_queue(self) -> Result:
        self.worker()
        self.queue.pause()
        return self.note.delay(1)

    def paused_task(self) -> Result:
        self.worker()
        self.queue.pause(task="note")
        return self.note.delay(1)

    def set_aside(self) -> Result:
        session, result = self.worker(), self.paused_task()
        session.step(1)
        return result

    def no_worker(self) -> Result:
        return self.note.delay(1)

    def nobody_knows_it(self) -> Result:
        self.worker(known=("other", "b"))
        return self.note.delay(1)

    def parked_as_unknown(self) -> Result:
        result = self.queue.task(name="shop.pay")(sample.square).delay(1)
        del self.queue._tasks.tasks["shop.pay"], self.queue._tasks.definitions["shop.pay"]
        work(self.queue)
        self.worker()
        return result

    def concurrency(self) -> Result:
        self.worker()
        one = self.queue.task(name="one", max_concurrency=1)(sample.double)
        return one.map(range(3))[2]

    def behind(self) -> Result:
        one = self.queue.task(name="one", unique="key", on_conflict="replace")(sample.double)
        first = one.delay(1)
        self.worker().step(1)
        second = one.delay(2)
        assert second.why().behind == first.id
        return second

    def paused_key(self) -> Result:
        self.worker()
        bill = self.queue.task(name="bill", max_concurrency=1, concurrency_key="tenant-{n}")(sample.double)
        self.queue.pause(key="tenant-7")
        return bill.delay(7)

    def rate_limit(self) -> Result:
        often = self.queue.task(name="often", rate_limit="1/m")(sample.double)
        results = often.map(range(3))
        self.worker().step(1)
        return results[2]

    def fair_turn(self) -> Result:
        self.worker()
        fair = self.queue.task(name="fair", fair_key="tenant-{n}")(sample.double)
        fair.map([1] * 300)
        return [fair.delay(n) for n in range(2, 7)][-1]

    def eta(self) -> Result:
        return self.note.apply_async((1,), eta=datetime.now(UTC) + timedelta(minutes=1))

    def retry(self) -> Result:
        boom = self.queue.task(name="boom", retries=3, default_retry_delay=60, retry_backoff=False)(sample.boom)
        result = boom.delay()
        work(self.queue)
        return result

    def other_python(self) -> Result:
        self.room.fill({"tasks": {"t": sync()}, "attempts": {"t": "0 0 python:2.7 - -"}, "parked:python:2.7": {"t": 1}})
        self.room.fill({"needs": ["python:2.7"]})
        return self.queue.result("t")

    def running(self) -> Result:
        result = self.hold.delay(1)
        self.threads.append(in_background(self.queue))
        wait_until(lambda: sample.seen)
        return result

    def fetched(self) -> Result:
        results = self.note.map(range(2))
        self.worker().step(2)
        return results[1]

    def lost(self) -> Result:
        result = self.note.delay(1)
        self.worker().step(1)
        self.room.client.zadd(self.room.prefix + "workers", {"w": 5})
        return result

    def suspect(self) -> Result:
        self.worker()
        self.room.fill({"tasks": {"t": sync()}, "attempts": {"t": "0 2 - - - 0 0 1"}, "suspects": {"t": place(1)}})
        return self.queue.result("t")

    def done(self) -> Result:
        result = self.note.delay(1)
        work(self.queue)
        return result

    def revoked(self) -> Result:
        result = self.note.delay(1)
        self.queue.purge()
        return result

    def unknown(self) -> Result:
        return self.queue.result("never")


@pytest.fixture
def shop(make_queue: MakeQueue) -> Any:
    made = Shop(make_queue())
    yield made
    sample.go_on.set()
    for thread in made.threads:
        thread.join(10)
    made.room.wipe()


TABLE: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "position",
        "position",
        {"position": 2, "of": 3, "workers": 1},
        "number 2 of 3: 1 task is ahead of it, and 1 worker is at them",
    ),
    ("paused_queue", "paused", {"what": "queue"}, "queue '.*' is paused$"),
    ("paused_task", "paused", {"what": "task", "name": "note"}, r"task 'note' is paused .*resume\(task='note'\)"),
    ("set_aside", "paused", {"what": "task", "name": "note"}, "task 'note' is paused"),
    ("no_worker", "no_worker", {"worked_lately": False}, "no worker listens on queue"),
    ("nobody_knows_it", "unknown_task", {"known": ["b", "other"]}, r"knows a task 'note', .* \(they know b, other\)"),
    ("parked_as_unknown", "unknown_task", {"task": "shop.pay", "known": ["hold", "note"]}, "knows a task 'shop.pay'"),
    (
        "concurrency",
        "concurrency",
        {"key": None, "limit": 1, "used": 1, "ahead": 1},
        "max_concurrency=1 of task one is used up, by ",
    ),
    ("paused_key", "paused", {"what": "key", "name": "tenant-7", "key": "tenant-7"}, "key 'tenant-7' is paused"),
    (
        "rate_limit",
        "rate_limit",
        {"key": None, "limit": 1, "period": 60.0, "ahead": 1},
        r"rate_limit= of task often, 1 in 60 s, is used up: opens in (59|60|61|62|63|64)\.\d s; 1 task is ahead of it there",
    ),
    ("fair_turn", "fair_turn", {"key": "tenant-6"}, "key 'tenant-6' waits for its turn, behind "),
    ("behind", "unique", {}, "it waits for task [0-9a-f]{32}, which has the same unique key and was there before it, to end"),
    ("eta", "eta", {}, r"scheduled for .* UTC, in (59|60)\.\d s$"),
    ("retry", "retry", {"retries": 1, "error": "OSError: [Errno 5] boom"}, r"in (59|60)\.\d s, after 1 retry: OSError: .*boom"),
    ("other_python", "parked", {"need": "python:2.7"}, "sent by value from Python 2.7"),
    ("running", "running", {"retries": 0}, r"it is running at .*, since 2.* UTC \(\d\.\d s\)$"),
    ("fetched", "fetched", {"worker": "w", "host": "web-1", "pid": 42}, "worker 'w' has fetched it, and runs others before it"),
    ("lost", "lost", {"worker": "w"}, "worker 'w' was lost; it goes back to its place"),
    ("suspect", "suspect", {"deaths": 2}, r"suspected of killing its process \(2 deaths so far: 2 while it ran alone\)"),
    ("done", "done", {"state": State.SUCCESS}, "it has ended: SUCCESS, at 2"),
    ("revoked", "done", {"state": State.REVOKED}, "it has ended: REVOKED, at 2"),
    ("unknown", "unknown", {}, "nothing is known of it"),
]


@pytest.mark.parametrize(("state", "reason", "facts", "text"), TABLE, ids=[row[0] for row in TABLE])
def test_each_reason(shop: Shop, state: str, reason: str, facts: dict[str, Any], text: str) -> None:
    result = getattr(shop, state)()
    found = result.why()
    assert (found.reason, {name: found.facts[name] for name in facts}) == (reason, facts)
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(str(found))
    assert found.reason in REASONS
    again = shop.queue.why(result.id)
    assert (again.reason, again.facts.keys()) == (found.reason, found.facts.keys())
    assert asyncio.run(shop.queue.awhy(result.id)).reason == asyncio.run(result.awhy()).reason == reason


def test_it_is_one_round_trip(shop: Shop) -> None:
    result = shop.position()
    result.why()
    shop.room.client.config_resetstat()
    result.why()
    stats = shop.room.client.info("commandstats")
    assert {name: row["calls"] for name, row in stats.items() if "eval" in name} == {"cmdstat_evalsha": 1}


def test_a_timeout_says_the_same(shop: Shop) -> None:
    result = shop.paused_task()
    with pytest.raises(ResultTimeout) as caught:
        result.get(timeout=0.01)
    assert str(caught.value).endswith(f"within 0.01 s: {result.why()}")


def test_arguments_are_not_loaded(shop: Shop) -> None:
    header = envelope.task_header("evil", "q", {})
    data = envelope.Form(header, envelope.SYNC, 0).encode(b"t", 0, b"", pickle.dumps(_Evil()))
    shop.worker(known=("evil",))
    shop.room.fill({"tasks": {"t": data}, "ready": {"t": 1}})
    assert shop.queue.why("t").reason == "position"
    assert sample.seen == []


class _Evil:
    def __reduce__(self) -> Any:
        return sample.note, ("loaded",)


def test_one_that_waits_past_its_expiry_is_ended(shop: Shop) -> None:
    result = shop.note.apply_async((1,), expires=0)
    assert result.why().state is State.REVOKED


def test_junk_and_whoever_is_signed(shop: Shop, make_queue: MakeQueue) -> None:
    shop.worker()
    shop.room.fill({"tasks": {"t": "junk"}, "ready": {"t": 1}})
    assert shop.queue.why("t").reason in ("position", "unknown_task")
    signed = make_queue(secret_key="s" * 32)
    result = signed.task(name="note")(sample.note).delay(1)
    assert result.why().reason == "position"
    work(signed)
    assert result.why().state is State.SUCCESS


def test_what_is_asked_for_is_an_id(shop: Shop) -> None:
    with pytest.raises(TypeError, match=r"queue.why\(\) takes the id of a task"):
        shop.queue.why(7)  # type: ignore[arg-type]


def test_inside_testing(make_queue: MakeQueue) -> None:
    queue = make_queue()
    note = queue.task(name="note")(sample.note)
    with queue.testing():
        done = note.delay(1)
        queue.pause(task="note")
        waiting, later = note.delay(2), note.apply_async((3,), countdown=60)
        assert [result.why().reason for result in (done, waiting, later)] == ["done", "paused", "eta"]
        assert "inside queue.testing()" in str(waiting.why())
