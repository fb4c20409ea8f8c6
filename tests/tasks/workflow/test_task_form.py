"""A signature of one task: which arguments fit, what is in front of them, and its text."""

from __future__ import annotations

import pickle

import pytest

from hotqueue import HotQueue
from tests.tasks.workflow.tasks import Basket, add, asquare, bound, queue, same, square


def test_what_is_given_later_comes_in_front() -> None:
    assert same.s(1, k=2)(0) == (0, 1, {"k": 2})
    assert same.si(1, k=2)(0) == (1, {"k": 2})
    assert same.s(1)(0, more=3) == (0, 1, {"more": 3})
    with queue.testing():
        assert same.s(1, k=2).delay(0).get() == (0, 1, {"k": 2})
        assert same.s(1).apply_async((0,), {"more": 3}, priority=3).get() == (0, 1, {"more": 3})
        assert same.si(1).delay(0).get() == (1,)


def test_of_a_method_it_comes_behind_the_instance() -> None:
    assert Basket(10).put.s(more=1)(2) == 13
    with queue.testing():
        assert Basket(10).put.s(5).delay(2).get() == 17
        assert (square.s(2) | Basket(10).put.s()).delay().get() == 14
        assert (square.s(2) | Basket(10).put.si(1)).delay().get() == 11
        assert (square.s(2) | bound.s()).delay().get() == ("bound", 4)


def test_arguments_that_fit_in_no_case_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"square\(.*\) -> .* cannot be called like this, by .s\(…\): too many"):
        square.s(1, 2)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        square.s(m=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"by .si\(…\): missing a required argument: 'n'"):
        square.si()  # type: ignore[call-arg]
    assert add.s(b=1)(2) == 3


def test_arguments_that_do_not_fit_what_comes_are_refused_before_anything_is_sent() -> None:
    with queue.testing():
        with pytest.raises(TypeError, match="too many positional arguments"):
            (square.s(1) | square.s(2)).delay()
        assert queue.pending() == 0


def test_starmap_is_one_task_and_chunks_are_a_group_of_them() -> None:
    assert add.starmap([(1, 2), (3,)])() == [3, 3]
    assert asquare.starmap([(2,), (3,)])() == [4, 9]
    with queue.testing():
        assert add.starmap([(1, 2), (3,)]).delay().get() == [3, 3]
        assert asquare.starmap([(2,), (3,)]).delay().get() == [4, 9]
        assert bound.starmap([(1,), (2,)]).delay().get() == [("bound", 1), ("bound", 2)]
        assert Basket(1).put.starmap([(1,), (2, 2)]).delay().get() == [2, 5]
        chunks = square.chunks(((n,) for n in range(5)), 2)
        assert (chunks.delay().get(), chunks()) == ([[0, 1], [4, 9], [16]],) * 2
        assert square.chunks([], 2).delay().get() == []


def test_starmap_takes_tuples() -> None:
    with pytest.raises(TypeError, match=r"item 1 of square.starmap\(\) has to be a tuple of arguments, not 2"):
        square.starmap([(1,), 2])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"square.starmap\(\) takes the arguments of each call"):
        square.starmap("ab")
    with pytest.raises(ValueError, match=r"square.chunks\(\) n= takes a whole number of at least 1"):
        square.chunks([(1,)], 0)


def test_its_text_is_how_it_is_written() -> None:
    assert repr(square.s(2)) == "square.s(2)"
    assert repr(same.si(1, k="x")) == "same.si(1, k='x')"
    assert repr(square.starmap([(1,)])) == "square.starmap([(1,)])"
    assert repr(Basket(3).put.s(1)) == "Basket(3).put.s(1)"
    assert repr(square.s(2).set(queue="other")) == "square.s(2).set(queue='other')"
    assert len(repr(same.s("x" * 1000))) < 100


def test_what_is_sensitive_is_not_in_its_text() -> None:
    here = HotQueue("hidden", host="127.0.0.1", port=1)

    @here.task(sensitive=("password",))
    def login(name: str, password: str) -> None: ...

    assert repr(login.s("me", password="secret")).endswith("login.s('me', password=***)")
    assert "secret" not in repr(login.starmap([("me", "secret")]))


def test_a_task_that_cannot_be_imported_travels_with_its_signature() -> None:
    here = HotQueue("local", host="127.0.0.1", port=1)

    @here.task
    def local(n: int) -> int:
        return n + 1

    again = pickle.loads(pickle.dumps(local.s(1)))
    assert again() == 2
