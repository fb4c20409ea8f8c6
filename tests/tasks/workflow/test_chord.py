"""chord: a header and a body; what a failure in the header means."""

from __future__ import annotations

import pytest

from hotqueue.tasks import ResultSet, State, chain, chord, group
from tests.tasks.sample import seen
from tests.tasks.workflow.tasks import add, boom, caught, queue, same, square, total, who


def test_the_body_is_given_the_list_of_values() -> None:
    with queue.testing():
        assert chord([square.s(n) for n in range(4)], total.s()).delay().get(timeout=30) == 14
        assert chord(square.s(n) for n in range(4))(total.s()).get(timeout=30) == 14
        assert chord(group(square.s(1), square.s(2)), same.s("more")).delay().get(timeout=30) == ([1, 4], "more")
        assert chord([square.s(2)], same.s()).delay().get(timeout=30) == ([4],)
        assert chord([], same.s()).delay().get(timeout=30) == ([],)
        assert chord([add.s(1), add.s(2)], total.s()).delay(10).get(timeout=30) == 23
        assert chord([group(square.s(1), square.s(2)), square.s(3)], same.s()).delay().get(timeout=30) == ([[1, 4], 9],)
        assert chord([square.s(1)], same.si("own")).delay().get(timeout=30) == ("own",)


def test_the_header_is_the_parent_of_the_body() -> None:
    with queue.testing():
        found = chord([square.s(1), square.s(2)], total.s()).delay()
        assert isinstance(found.parent, ResultSet)
        assert found.parent.get(timeout=30) == [1, 4]
        assert list(found.root) == list(found.parent)  # type: ignore[call-overload]
        assert found.parent[0].children == [found]


def test_the_root_of_what_begins_with_several_is_the_workflow() -> None:
    with queue.testing():
        for made in (chord([who.s(), who.s()], same.s()), chain(group(who.s(), who.s()), same.s())):
            (told,) = made.delay().get(timeout=30)
            assert len({each["root"] for each in told} - {each["id"] for each in told}) == 1
            assert len(queue.results(told[0]["root"])) == 1


def test_a_failure_in_the_header_is_raised_with_where_it_arose_and_the_body_is_not_run() -> None:
    with queue.testing():
        found = chord([square.s(1), boom.s(2)], same.s()).delay()
        with pytest.raises(KeyError, match="'boom', 2") as raised:
            found.get(timeout=30)
        assert found.parent is not None
        failed = found.parent[1]  # type: ignore[index]
        assert (
            f"It arose in task {failed.id}, an earlier step of the workflow; task {found.id} was not run."
            in raised.value.__notes__
        )
        assert found.state is State.FAILURE


def test_its_errback_is_called_once() -> None:
    with queue.testing():
        chord([boom.s(1), boom.s(2)], total.s()).on_error(caught.s()).delay()
        assert seen == [("boom", "KeyError('boom', 1)", True)]
        chord([square.s(1)], boom.s()).on_error(caught.s()).delay()
        assert seen[1:] == [("boom", "KeyError('boom', [1])", True)]
        chord([square.s(1)], same.s()).on_error(caught.s()).delay()
        assert len(seen) == 2


def test_it_can_do_with_those_that_succeed() -> None:
    with queue.testing():
        some = chord([square.s(1), boom.s(), square.s(3)], same.s(), allow_failures=True)
        assert some.delay().get(timeout=30) == ([1, 9],)
        assert chord([boom.s()], same.s(), allow_failures=True).delay().get(timeout=30) == ([],)
        nested = chord([group(boom.s(), square.s(2)), square.s(3)], same.s(), allow_failures=True)
        assert nested.delay().get(timeout=30) == ([[4], 9],)


def test_without_a_body_it_is_not_sent() -> None:
    with pytest.raises(TypeError, match=r"has no body: write chord\(header, body\)"):
        chord([square.s(1)]).delay()
    with pytest.raises(TypeError, match="takes a signature"):
        chord([square.s(1)], total)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="allow_failures"):
        chord([square.s(1)], total.s(), allow_failures="yes")  # type: ignore[call-overload]


def test_its_text() -> None:
    assert repr(chord([square.s(1)], total.s())) == "chord([square.s(1)], total.s())"
    assert repr(chord([square.s(1)], total.s(), allow_failures=True)).endswith(", allow_failures=True)")
