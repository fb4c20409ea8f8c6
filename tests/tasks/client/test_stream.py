"""A task that yields, and those who read it: in order, each item once, from anywhere on, however the task ends.

Of the kind: `def` and `async def`; readers that come before, in the middle and afterwards, several, slow ones, ones that leave;
an end by return, error, retry, revoke, expiry, rejection, an item that cannot travel, a limit in an item or between two; no
items; no result kept; large ones; a signed queue. With processes that die: tests/crash/test_streams.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, ResultTimeout, SerializationError, SignatureError, SoftTimeLimitExceeded, StreamRestarted
from hotqueue.errors import TaskExpired, TaskRejected, TaskRevoked, UnknownTask
from hotqueue.tasks import Reject, current_task
from hotqueue.tasks.broker.discarding import UNDO_MS
from tests.support import leaks
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.working import in_background, stream_readers, work

MakeQueue = Callable[..., HotQueue]
only_server = pytest.mark.servers("server")


def count(n: int) -> Iterator[int]:
    yield from range(n)
    return n


async def acount(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


def gated(n: int) -> Iterator[int]:
    """Yield two, and the rest once the test says so."""
    for i in range(n):
        if i == 2:
            sample.go_on.wait(20)
        yield i


def again() -> Iterator[int]:
    yield 10 * current_task.request.retries
    yield 10 * current_task.request.retries + 1
    if current_task.request.retries == 0:
        sample.go_on.wait(20)
        raise OSError("once")


def test_items_come_in_order_as_often_as_they_are_read(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for function in (count, acount):
        result = queue.task(name=function.__name__)(function).delay(2500)
        worker = in_background(queue)
        stream = result.stream(timeout=30)
        assert list(stream) == list(range(2500))
        worker.join()
        assert stream.value == result.get(timeout=30) == (2500 if function is count else None)
        assert list(result.stream(timeout=30)) == list(range(2500))
        assert list(result.stream(2400, 5)) == list(range(2400, 2500))
        assert list(result.stream(9999, 5)) == []
        assert next(stream, "over") == "over"


@only_server
def test_several_read_while_it_runs_each_as_far_as_it_comes(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="gated")(gated).delay(5)
    worker = in_background(queue)
    first, second = result.stream(timeout=30), result.stream(1, 20)
    assert [next(first), next(first), next(second)] == [0, 1, 1]
    found: list[list[int]] = []
    others = [threading.Thread(target=lambda: found.append(list(result.stream(timeout=30)))) for _ in range(3)]
    for other in others:
        other.start()
    sample.go_on.set()
    assert [list(first), list(second)] == [[2, 3, 4]] * 2
    for thread in (*others, worker):
        thread.join()
    assert found == [[0, 1, 2, 3, 4]] * 3


@only_server
def test_who_stops_reading_is_forgotten(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="gated")(gated).delay(5)
    worker = in_background(queue)
    replies = result._handle.replies
    for item in (stream := result.stream(timeout=30)):
        if item == 1:
            break
    with pytest.raises(ResultTimeout, match=r"no result of task .* within 0.01 s"):
        next(result.stream(2, timeout=0.01))
    left = result.stream(2)
    left._allowed = 0.05  # so that it has begun to wait
    with pytest.raises(ResultTimeout):
        next(left)
    assert (stream.index, stream.attempt is not None) == (2, True)
    del stream, left
    assert not replies._watches.tasks
    store = queue._store.client()
    wait_until(lambda: not stream_readers(store, result))
    sample.go_on.set()
    worker.join()


@only_server
def test_a_collection_asks_no_server_and_takes_no_lock(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="gated")(gated).delay(5)
    worker = in_background(queue)
    client = queue._store.client()
    held_up = [result.stream(timeout=30, backpressure=True), result.stream(2, timeout=30)]
    assert next(held_up[0]) == 0
    held_up[1]._allowed = 0.05
    with pytest.raises(ResultTimeout):
        next(held_up[1])
    assert len(stream_readers(client, result)) == 1
    replies, ours = result._handle.replies, queue._tasks
    with replies._lock, replies._watches._lock, ours._lock:  # as if it came in the middle of what we do
        collecting = threading.Thread(target=held_up.clear, daemon=True)
        collecting.start()
        collecting.join(30)
        assert not collecting.is_alive()
    wait_until(lambda: not stream_readers(client, result), what="the thread of replies told the task")
    sample.go_on.set()
    worker.join()


@only_server
def test_a_restart_is_told_and_the_items_of_the_new_run_follow(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="again", retries=1, retry_backoff=0.01)(again).delay()
    worker = in_background(queue)
    stream = result.stream(timeout=30)
    assert [next(stream), next(stream)] == [0, 1]
    sample.go_on.set()
    with pytest.raises(StreamRestarted) as caught:
        next(stream)
    assert caught.value.attempt == stream.attempt
    assert list(stream) == [10, 11]
    worker.join()
    assert list(result.stream(timeout=30)) == [10, 11]
    with pytest.raises(StreamRestarted):
        next(result.stream(1, attempt=1))


@only_server
def test_a_deterministic_one_goes_on_as_if_nothing_had_been(make_queue: MakeQueue) -> None:
    queue = make_queue()

    def steady() -> Iterator[int]:
        sample.seen.append("run")
        yield from range(3)
        if current_task.request.retries == 0:
            sample.go_on.wait(20)
            raise OSError("once")
        yield from range(3, 6)

    result = queue.task(name="steady", retries=1, retry_backoff=0.01, stream_deterministic=True)(steady).delay()
    worker = in_background(queue)
    stream = result.stream(timeout=30)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    sample.go_on.set()
    assert list(stream) == [3, 4, 5]
    worker.join()
    assert (list(result.stream(timeout=30)), sample.seen) == ([0, 1, 2, 3, 4, 5], ["run", "run"])


def fails(how: str) -> Iterator[Any]:
    yield "before"
    if how == "raises":
        raise ValueError("no")
    if how == "rejects":
        raise Reject("not me")
    if how == "yields what cannot travel":
        yield threading.Lock()
    yield "after"


ENDS: dict[str, tuple[type[Exception], str]] = {
    "raises": (ValueError, "no"),
    "rejects": (TaskRejected, "not me"),
    "yields what cannot travel": (SerializationError, r"fails yielded an item, number 1, that cannot be stored: lock cannot be"),
}


@only_server
@pytest.mark.parametrize("how", ENDS)
def test_an_error_comes_after_the_items_before_it(make_queue: MakeQueue, how: str) -> None:
    queue = make_queue()
    result = queue.task(name="fails")(fails).delay(how)
    work(queue)
    stream = result.stream(timeout=30)
    assert next(stream) == "before"
    with pytest.raises(ENDS[how][0], match=ENDS[how][1]):
        next(stream)
    assert list(stream) == []
    queue.discard_dead(all=True)
    left = [key for key in leaks.keys_of(queue._store.client(), queue.name) if "stream" in key]
    assert len(left) == 2  # for as long as it can be brought back
    assert all(0 < queue._store.client().pttl(key) <= UNDO_MS for key in left)


@only_server
def test_it_ends_with_a_task_that_never_ran(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="count")(count)
    revoked, expired = task.delay(1), task.apply_async((1,), expires=0.05)
    threading.Timer(0.2, revoked.revoke).start()
    began = time.monotonic()
    with pytest.raises(TaskRevoked):
        list(revoked.stream())
    with pytest.raises(TaskExpired):
        list(expired.stream())
    with pytest.raises(UnknownTask):
        list(queue.result("unknown").stream())
    assert time.monotonic() - began < 10


@only_server
def test_no_items_and_no_result_are_an_end_too(make_queue: MakeQueue) -> None:
    queue = make_queue()
    results = [queue.task(name=f"count{n}", ignore_result=True)(count).delay(n) for n in (0, 2)]
    work(queue)
    assert [list(result.stream(timeout=30)) for result in results] == [[], [0, 1]]


@only_server
def test_a_result_that_is_forgotten_takes_its_stream_along(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="count")(count).delay(3)
    work(queue)
    result.forget()
    with pytest.raises(UnknownTask):
        list(result.stream())
    assert not [key for key in leaks.keys_of(queue._store.client(), queue.name) if "stream" in key]


def patient(where: str) -> Iterator[str]:
    try:
        yield "first"
        if where == "within":
            while not sample.go_on.wait(0.01):
                pass
        else:
            while not sample.go_on.wait(0.01):  # the reader has begun: before that nobody has asked for backpressure
                pass
            for _ in range(10_000):  # until nobody takes more
                yield "x" * 1000
    except SoftTimeLimitExceeded:
        sample.seen.append("told")
        yield "cleaned up"
        raise


@only_server
@pytest.mark.parametrize("where", ["within", "between"])
def test_a_soft_limit_holds_in_an_item_and_between_two(make_queue: MakeQueue, where: str) -> None:
    queue = make_queue()
    result = queue.task(name="patient", soft_time_limit=0.4, stream_max=20)(patient).delay(where)
    stream = result.stream(timeout=30, backpressure=True)
    worker = in_background(queue)
    assert next(stream) == "first"
    if where == "between":
        sample.go_on.set()
    wait_until(lambda: "told" in sample.seen)  # and nobody has read on
    items = []
    with pytest.raises(SoftTimeLimitExceeded):
        items.extend(iter(stream))
    assert items[-1] == "cleaned up"
    worker.join()
    queue.discard_dead(all=True)


@only_server
def test_backpressure_slows_the_task_and_loses_nothing(make_queue: MakeQueue) -> None:
    queue = make_queue()

    def fast() -> Iterator[int]:
        for n in range(300):
            sample.seen[:] = [n]
            yield n

    result = queue.task(name="fast", stream_max=20)(fast).delay()
    stream = result.stream(timeout=30, backpressure=True)
    client = queue._store.client()
    key = f"{{hotqueue:{queue.name}}}:streamed:{result.id}"
    found: list[int] = []
    first = threading.Thread(target=lambda: found.append(next(stream)))
    first.start()
    wait_until(lambda: client.exists(key))
    worker = in_background(queue)
    first.join()
    assert found == [0]
    wait_until(lambda: int(client.hget(key, "count")) >= 15)
    assert int(client.hget(key, "count")) <= 21
    assert list(stream) == list(range(1, 300))
    worker.join()


@only_server
def test_who_does_not_read_slows_nobody_and_gets_what_is_kept(make_queue: MakeQueue) -> None:
    queue = make_queue()
    task = queue.task(name="count")(count)
    results = [task.apply_async((number,), stream_max=most) for most, number in ((100, 1000), (10, 103), (1, 7))]
    work(queue)
    assert list(results[0].stream(timeout=30)) == list(range(900, 1000))
    assert list(results[1].stream(timeout=30)) == list(range(93, 103))  # not all of its oldest batch
    assert list(results[2].stream(timeout=30)) == [6]


@only_server
def test_large_items_come_one_at_a_time(make_queue: MakeQueue) -> None:
    queue = make_queue()

    def large() -> Iterator[bytes]:
        for n in range(6):
            yield bytes([n]) * 3_000_000

    result = queue.task(name="large")(large).delay()
    work(queue)
    stream = result.stream(timeout=30)
    sizes = []
    for item in stream:
        sizes.append(len(item))
        assert not stream._ready
    assert sizes == [3_000_000] * 6


@only_server
def test_items_of_a_queue_with_a_key_are_signed(make_queue: MakeQueue, queue_name: str) -> None:
    queue = make_queue(secret_key="one")
    result = queue.task(name="count")(count).delay(3)
    work(queue)
    assert list(result.stream(timeout=30)) == [0, 1, 2]
    key = f"{{hotqueue:{queue_name}}}:stream:{result.id}"
    client = queue._store.client()
    *_, (last, fields) = client.xrange(key)
    client.delete(key)
    client.xadd(key, {"i": fields[b"i"][:-1] + b"?"}, id=last)
    client.expire(key, 60)
    with pytest.raises(SignatureError):
        list(result.stream(timeout=30))


@only_server
def test_a_task_without_a_stream_pays_no_command_and_no_key(make_queue: MakeQueue) -> None:
    queue = make_queue()
    result = queue.task(name="double")(sample.double).delay(1)
    work(queue)
    assert result.get(timeout=30) == 2
    assert not [key for key in leaks.keys_of(queue._store.client(), queue.name) if "stream" in key]
    assert list(result.stream(timeout=30)) == []
