"""chain: how steps are put together, and what each is given."""

from __future__ import annotations

import pytest

from hotqueue.tasks import State, chain, group
from tests.tasks.workflow.tasks import add, asquare, queue, quiet, same, square, total, who


def test_the_value_goes_from_step_to_step() -> None:
    with queue.testing():
        assert (square.s(2) | asquare.s() | add.s(1)).delay().get(timeout=30) == 17
        assert chain(add.s(1), add.s(2)).delay(10).get(timeout=30) == 13
        assert chain([add.s(1, 1), square.s()]).delay().get(timeout=30) == 4
        assert (quiet.s(1) | quiet.s() | add.s(1)).delay().get(timeout=30) == 4


def test_steps_that_are_nothing_are_skipped() -> None:
    with queue.testing():
        assert chain(None, chain(), square.s(3), chain(chain(), None)).delay().get(timeout=30) == 9
        nothing = chain().delay()
        assert (nothing.get(timeout=1), nothing.state, nothing.parent, nothing.root) == (None, State.SUCCESS, None, nothing)
        assert chain()() is None


def test_an_empty_group_is_an_empty_list() -> None:
    with queue.testing():
        assert chain(group([]), total.s()).delay().get(timeout=30) == 0
        assert chain(square.s(2), group([]), same.s()).delay().get(timeout=30) == ([],)
        assert chain(square.s(2), group([])).delay().get(timeout=30) == []


def test_a_group_in_front_of_a_step_is_its_chords_header_and_one_behind_gets_the_value() -> None:
    with queue.testing():
        assert chain(square.s(2), group(add.s(1), add.s(2)), total.s()).delay().get(timeout=30) == 11
        assert (
            chain(group(square.s(n) for n in range(10)), group(total.s(), total.s(), total.s())).delay().get(timeout=30)
            == [285] * 3
        )
        nested = chain(group(square.s(1), group(square.s(2), square.s(3))), same.s())
        assert nested.delay().get(timeout=30) == ([1, [4, 9]],)


def test_a_thousand_steps() -> None:
    with queue.testing():
        assert chain(*[add.s(1)] * 1000).delay(0).get(timeout=30) == 1000


def test_options_of_the_whole_hold_for_each_step_that_has_none_of_its_own() -> None:
    with queue.testing():
        made = chain(who.s().set(headers={"a": 1}), who.s(), who.s().set(headers={"b": 2})).set(headers={"z": 0}, task_id="mine")
        found = made.delay()
        assert found.id == "mine"
        assert found.get(timeout=30)["headers"] == {"z": 0, "a": 1, "b": 2}
        assert found.parent is not None
        assert found.parent.get(timeout=30)["headers"] == {"z": 0, "a": 1}
        assert [node.id for node in queue.workflow("mine").nodes][-1] == "mine"


def test_each_step_knows_the_first_and_the_one_before() -> None:
    with queue.testing():
        last = (who.s() | who.s() | who.s()).delay()
        first, second = last.root, last.parent
        assert last.get(timeout=30)["root"] == first.id == first.get()["root"]
        assert last.get()["parent"] == second.id  # type: ignore[union-attr]
        assert (first.get()["parent"], first.parent, first.children) == (None, None, [second])
        assert (last.children, second.children) == ([], [last])  # type: ignore[union-attr]
        alone = who.delay()
        assert (alone.get()["root"], alone.get()["parent"], alone.root, alone.parent) == (alone.id, None, alone, None)
        named = (who.s().set(task_id="named") | who.s()).delay().root
        steps = [each.get()["step"] for each in (first, second, last, alone, named)]  # type: ignore[union-attr]
        assert steps == [0, 1, 2, None, 0]


def test_its_text() -> None:
    assert repr(square.s(2) | add.s(1)) == "square.s(2) | add.s(1)"
    assert repr(chain(*[square.s()] * 9)) == "square.s() | square.s() | square.s() | … 5 more | square.s()"
    assert repr(chain(square.s(2))) == "chain(square.s(2))"
    with pytest.raises(TypeError, match=r"chain\(\) takes a signature"):
        chain(1, 2)  # type: ignore[call-overload]
