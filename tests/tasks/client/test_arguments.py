"""Arguments that do not fit, or cannot travel, are refused where they are given, and named; what is secret: test_sensitive.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, SerializationError
from tests.tasks import sample
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


def work(queue: HotQueue) -> int:
    return queue.run_worker(burst=True)


@pytest.fixture
def queue(make_queue: MakeQueue) -> Iterator[HotQueue]:
    queue = make_queue()
    yield queue
    assert queue.pending() == 0, "nothing may be sent of a refused call"


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2), {}), ((1,), {"n": 1}), ((), {"m": 1})])
def test_wrong_arguments_are_refused_where_they_are_given(queue: HotQueue, args: Any, kwargs: Any) -> None:
    square = queue.task(sample.square)
    for send in (square.delay, lambda *a, **k: square.apply_async(a, k)):
        with pytest.raises(TypeError, match=r"square\(n: .*int.*\) .*cannot be called like this"):
            send(*args, **kwargs)  # type: ignore[operator]


def test_keyword_only_and_variadic_signatures_are_known(queue: HotQueue) -> None:
    @queue.task
    def strict(a: int, /, b: int = 2, *rest: int, c: int, **more: int) -> None: ...

    for args, kwargs in [((1,), {}), ((), {"c": 1}), ((1,), {"a": 1})]:
        with pytest.raises(TypeError, match="cannot be called"):
            strict.delay(*args, **kwargs)
    strict.delay(1, 2, 3, 4, c=5, d=6)
    assert work(queue) == 1


def test_an_unknown_option_names_the_nearest(queue: HotQueue) -> None:
    with pytest.raises(TypeError, match=r"square.apply_async\(\) got an unknown option 'countdwn'; did you mean 'countdown'"):
        queue.task(sample.square).apply_async((1,), countdwn=3)
    with pytest.raises(TypeError, match="did you mean 'time_limit'"):
        queue.task(timelimit=3)(sample.square)


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        ("4", r"args=\('4',\)"),
        (b"4", r"args=\(b'4',\)"),
        (4, r"args=\(4,\)"),
        ({4}, r"args=\(\{4\},\)"),
        ({"n": 4}, r"kwargs={'n': 4}"),
    ],
    ids=str,
)
def test_one_argument_is_not_taken_for_all_of_them(queue: HotQueue, args: Any, meant: str) -> None:
    text = rf"square.apply_async\(\) takes a tuple or list of arguments, not .*; did you mean {meant}\?"
    with pytest.raises(TypeError, match=text):
        queue.task(sample.square).apply_async(args)


@pytest.mark.parametrize("kwargs", ["n", 4, [("n", 4)], (4,)], ids=str)
def test_keyword_arguments_come_in_a_dict(queue: HotQueue, kwargs: Any) -> None:
    with pytest.raises(TypeError, match="kwargs= takes a dict of the task's keyword arguments"):
        queue.task(sample.square).apply_async((), kwargs)


def test_no_arguments_may_be_none(queue: HotQueue) -> None:
    queue.task(sample.note).apply_async(None)
    queue.task(sample.square).apply_async(iter([3]))
    assert work(queue) == 2


@pytest.mark.parametrize("items", ["abc", b"abc", 5, None], ids=str)
def test_map_takes_items(queue: HotQueue, items: Any) -> None:
    with pytest.raises(TypeError, match=r"square.map\(\) takes the items, one call each, not .*; did you mean map\(\["):
        queue.task(sample.square).map(items)


def test_map_says_which_item_cannot_be_sent(queue: HotQueue) -> None:
    with pytest.raises(SerializationError, match=r"^item 2 of map\(\): argument 1 of .*; nothing was sent"):
        queue.task(sample.note).map([1, 2, threading.Lock()])
    with pytest.raises(SerializationError, match=r"^item 1001 of map\(\): .*; 1,000 calls before it were sent"):
        queue.task(sample.note).map([*range(1001), threading.Lock()])
    assert work(queue) == 1000


def test_an_argument_that_the_function_does_not_have_is_named(queue: HotQueue) -> None:
    square = queue.task(sample.square)
    with pytest.raises(TypeError, match="cannot be called like this: it has no argument 'countdown'; an option of the call"):
        square.delay(4, countdown=10)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="cannot be called like this: it has no argument 'nn'; did you mean 'n'"):
        square.delay(nn=10)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"an unknown option 'n': the task has it, write kwargs={'n': …}"):
        square.apply_async(n=4)


def test_options_do_not_mix_with_the_tasks_own_arguments(queue: HotQueue) -> None:
    note = queue.task(sample.note)
    note.delay("value", countdown=5, priority="mine")
    work(queue)
    assert seen == [("value", {"countdown": 5, "priority": "mine"})]


def test_an_argument_that_cannot_travel_is_named(queue: HotQueue) -> None:
    with pytest.raises(SerializationError, match=r"argument more= of .*note cannot travel"):
        queue.task(sample.note).delay(1, more=threading.Lock())
    with pytest.raises(SerializationError, match="argument 1"):
        queue.submit(lambda x: x, threading.Lock())
