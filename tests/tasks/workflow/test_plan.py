"""What a signature compiles to: which steps, who waits for whom, and for what."""

from __future__ import annotations

from typing import Any

import pytest

from hotqueue import ConfigError, HotQueue
from hotqueue.tasks import Signature, chain, chord, group
from hotqueue.tasks.wire import envelope
from hotqueue.tasks.workflow.plan import Planning, compiled
from hotqueue.tasks.workflow.signature import form_of
from tests.tasks.workflow.tasks import add, caught, queue, same, square, total, who


def steps(signature: Signature[Any]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(known.task, known.needs, known.when) for known in planned(signature).known]


def planned(signature: Signature[Any]) -> Planning:
    return compiled(form_of(signature), (), {})[0]


def test_what_compiles_to_what() -> None:
    assert steps(square.s(1) | add.s(2)) == [("square", (), "S"), ("add", (0,), "S")]
    assert steps(group(square.s(1), square.s(2))) == [("square", (), "S")] * 2
    assert steps(chord([square.s(1), square.s(2)], total.s()))[2:] == [("total", (0, 1), "S")]
    assert steps(chord([square.s(1), square.s(2)], total.s(), allow_failures=True))[2:] == [("total", (0, 1), "A")]
    behind = chain(square.s(1), chord([], total.s(), allow_failures=True))
    assert steps(behind) == [("square", (), "S"), ("total", (0,), "S")]  # whatever may fail is in the header
    assert steps(square.s(1).set(link=add.s(1))) == [("square", (), "S"), ("add", (0,), "S")]
    assert steps(square.s(1).on_error(caught.s())) == [("square", (), "S"), ("caught", (0,), "F")]
    assert steps((square.s(1) | add.s(1)).on_error(caught.s()))[2:] == [("caught", (0, 1), "F")]
    assert steps(group(square.s(1), square.s(2)).on_error(caught.s()))[1::2] == [("caught", (0,), "F"), ("caught", (2,), "F")]


def test_errbacks_of_a_part_are_no_part_of_the_whole() -> None:
    made = chain(square.s(1).on_error(caught.s()), add.s(1)).on_error(caught.s())
    assert steps(made) == [("square", (), "S"), ("caught", (0,), "F"), ("add", (0,), "S"), ("caught", (0, 2), "F")]


def test_edges_are_as_many_as_the_steps_not_their_product() -> None:
    found = planned(group(square.s(n) for n in range(100)) | group(total.s() for _ in range(100)))
    assert len(found.known) == 201
    assert sum(len(known.needs) for known in found.known) == 100 + 100 + 99
    assert {known.task for known in found.known} == {"square", "total", "hotqueue.collect"}


def test_what_travels_says_of_which_steps_the_value_is_made() -> None:
    made = chord([group(square.s(1), square.s(2)), square.s(3)], same.s())
    last = envelope.decode(planned(made).steps[-1].envelope)
    assert (last.flow["takes"], len(last.flow["needs"])) == ([[0, 1], 2], 3)
    flat = envelope.decode(planned(chord([square.s(1), square.s(2)], same.s())).steps[-1].envelope)
    assert flat.flow["takes"] == "*"
    assert "takes" not in envelope.decode(planned(square.s(1) | same.si(1)).steps[-1].envelope).flow
    assert not planned(square.s(1) | same.si(1)).steps[-1].takes


def test_steps_that_nothing_goes_before_are_plain_tasks() -> None:
    assert planned(chain(square.s(1), add.s(1))).steps[0].envelope[3] & envelope.STEP == 0


def test_countdown_holds_for_what_starts_first_and_task_id_for_what_ends_last() -> None:
    found = planned(chain(group(square.s(1), square.s(2)), total.s()).set(countdown=5, task_id="mine"))
    assert [step.due for step in found.steps] == ["+5000", "+5000", ""]
    assert [known.id == "mine" for known in found.known] == [False, False, True]
    assert found.id == "mine"
    inner = planned(chain(square.s(1), chain(add.s(1), add.s(2)).set(countdown=3, priority=4)))
    assert [(step.due, step.envelope[2] - 100) for step in inner.steps] == [("", 0), ("+3000", 4), ("", 4)]


def test_options_of_a_step_are_over_those_of_the_whole() -> None:
    found = planned(chain(who.s().set(priority=1), who.s()).set(priority=2, expires=10))
    assert [(step.envelope[2] - 100, step.expires) for step in found.steps] == [(1, "+10000"), (2, "+10000")]


def test_a_workflow_lives_in_one_store() -> None:
    elsewhere = HotQueue("elsewhere", host="127.0.0.1", port=2)

    @elsewhere.task
    def far(n: int) -> int:
        return n

    with pytest.raises(ConfigError, match="the queues of a workflow live in one store"):
        planned(square.s(1) | far.s())


def test_a_task_sent_earlier_is_waited_for() -> None:
    with queue.testing():
        first = square.delay(2)
        assert planned(square.s(3).set(depends_on=[first])).steps[0].needs == (first.id,)
        assert planned((square.s(3) | add.s(1)).set(depends_on=[first])).steps[1].needs != (first.id,)
        assert square.apply_async((3,), depends_on=[first]).get(timeout=30) == 9
