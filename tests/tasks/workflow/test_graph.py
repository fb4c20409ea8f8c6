"""The graph that is kept of a workflow: what is read of it is what was written; what is none."""

from __future__ import annotations

import pytest

from hotqueue import SerializationError
from hotqueue.tasks import Workflow, chord
from hotqueue.tasks.workflow import graph
from hotqueue.tasks.workflow.graph import Graph
from hotqueue.tasks.workflow.plan import compiled
from hotqueue.tasks.workflow.sending import graph_of
from hotqueue.tasks.workflow.signature import form_of
from tests.tasks.workflow.tasks import add, boom, caught, queue, square, total

GRAPH = Graph(
    "w", "home", [0, [1, 2]], ["ab-0", "mine", "ab-2"], ["a", "b", "a"], ["home", "home", "q"], [[], [0], [0, 1]], "SFA"
)


def test_it_is_read_as_it_was_written() -> None:
    assert graph.decode("w", GRAPH.encode()) == GRAPH
    plain = Graph("w", "home", 1, ["ab-0", "ab-1"], ["a", "a"], ["home", "home"], [[], [0]], "SS")
    assert graph.decode("w", plain.encode()) == plain
    named = Graph("w", "home", 0, ["mine"], ["a"], ["home"], [[]], "S")
    assert graph.decode("w", named.encode()) == named


def test_what_is_around_a_step() -> None:
    assert (GRAPH.number("mine"), GRAPH.number("other"), GRAPH.roots(), GRAPH.parents(2)) == (1, None, [0], [0, 1])
    assert GRAPH.children(0) == [2]  # an errback is none
    assert list(GRAPH.edges()) == [("ab-0", "mine"), ("ab-0", "ab-2"), ("mine", "ab-2")]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"v":2}', b'{"v":1,"n":1}'])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(SerializationError, match="the graph of workflow 'w' cannot be read"):
        graph.decode("w", data)


def test_a_workflow_shows_its_steps_and_their_states() -> None:
    with queue.testing():
        sent = (square.s(2) | boom.s() | add.s(1)).on_error(caught.s()).delay()
        found = queue.workflow(sent.id)
        assert isinstance(found, Workflow)
        assert [(node.task, node.queue, node.state) for node in found.nodes] == [
            ("square", "workflows", "SUCCESS"),
            ("boom", "workflows", "FAILURE"),
            ("add", "workflows", "FAILURE"),
            ("caught", "workflows", "SUCCESS"),
        ]
        ids = [node.id for node in found.nodes]
        assert ids[2] == sent.id
        assert found.edges == [(ids[0], ids[1]), (ids[1], ids[2]), *((before, ids[3]) for before in ids[:3])]
        assert queue.workflow(ids[0]) == found


def test_a_wide_one_takes_few_bytes() -> None:
    planning, shape = compiled(form_of(chord([square.s(n) for n in range(1000)], total.s())), (), {})
    assert len(planning.steps) == 1001
    assert len(graph_of(planning, shape).encode()) < 12_000
