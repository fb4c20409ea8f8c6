"""What signatures of every kind have in common: options, errbacks, copies, pickles, their text.

Of this kind: each method of a signature on one of a task, a chain, a group and a chord; what is no signature where one is wanted.
"""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle
import pytest

from hotqueue.tasks import Signature, chain, chord, group
from hotqueue.tasks.workflow.signature import results
from tests.tasks.workflow.tasks import Basket, add, boom, caught, queue, square, total

KINDS: dict[str, Signature[Any]] = {
    "task": square.s(2),
    "chain": square.s(2) | add.s(1),
    "group": group(square.s(1), square.s(2)),
    "chord": chord([square.s(1), square.s(2)], total.s()),
    "method": Basket(3).put.s(1),
    "nested": chain(square.s(1), group(add.s(1), chord([add.s(2)], total.s()))).on_error(caught.s()).set(priority=3),
}
pytestmark = pytest.mark.parametrize("kind", KINDS)


def test_it_comes_out_of_a_pickle_as_it_went_in_and_can_be_sent(kind: str) -> None:
    for dumps in (pickle.dumps, cloudpickle.dumps):
        again = pickle.loads(dumps(KINDS[kind]))
        assert again == KINDS[kind]
        assert repr(again) == repr(KINDS[kind])
        with queue.testing():
            assert again.delay().get(timeout=30) == KINDS[kind]()


def test_set_changes_it_and_a_clone_is_changed_apart(kind: str) -> None:
    made = KINDS[kind].clone()
    assert made == KINDS[kind]
    assert made.set(priority=7, countdown=1) is made
    assert made.on_error(caught.s()) is made
    assert made != KINDS[kind]
    assert "priority=7" in repr(made)
    assert "on_error(caught.s())" in repr(made)


def test_options_are_checked_where_they_are_given(kind: str) -> None:
    made = KINDS[kind].clone()
    with pytest.raises(TypeError, match="got an unknown option 'priorty'; did you mean 'priority'"):
        made.set(priorty=1)
    with pytest.raises(
        TypeError, match=r"on_error\(\) takes a signature, such as task.s\(…\), not <Task caught.*caught.s\(…\) is one"
    ):
        made.on_error(caught)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="link= takes a signature"):
        made.set(link="caught")
    with pytest.raises(TypeError, match="depends_on= takes results"):
        made.set(depends_on=["id"])
    with pytest.raises(TypeError):
        hash(made)


def test_it_is_put_together_with_signatures_only(kind: str) -> None:
    with pytest.raises(TypeError):
        _ = KINDS[kind] | 4  # type: ignore[operator]
    with pytest.raises(TypeError, match="takes a signature"):
        chain(KINDS[kind], square)  # type: ignore[call-overload]
    assert isinstance(KINDS[kind] | total.s(), Signature)


def test_link_and_link_error_are_as_of_celery(kind: str) -> None:
    with queue.testing():
        linked = KINDS[kind].clone().set(link=[square.s().set(task_id="linked")]) if kind != "group" else KINDS[kind]
        if kind not in ("group", "nested"):
            linked.delay()
            assert queue.result("linked").get(timeout=30) == KINDS[kind]() ** 2
        with pytest.raises(KeyError):
            boom.s().set(link_error=caught.s("more")).delay().get(timeout=30)


def test_results_are_taken_alone_and_in_sets(kind: str) -> None:
    with queue.testing():
        many = square.map([1, 2])
        assert results(many) == tuple(many)
        assert results([many[0], many]) == (many[0], *many)
        assert results(None) == ()
