"""The results of workflows from another process: found by an id, with what is around them."""

from __future__ import annotations

import pickle

import pytest

from hotqueue import UnknownTask
from hotqueue.tasks import ResultSet, chain, group
from hotqueue.tasks.workflow.results import states_of
from tests.tasks.workflow.tasks import add, boom, queue, square, total


def test_what_is_around_a_result_is_known_of_its_id_alone() -> None:
    with queue.testing():
        sent = chain(square.s(1), group(add.s(1), add.s(2)), total.s()).delay()
        for again in (queue.result(sent.id), pickle.loads(pickle.dumps(sent))):
            assert isinstance(again.parent, ResultSet)
            assert again.parent.get(timeout=30) == [2, 3]
            assert again.root.get(timeout=30) == 1
            assert again.root.children == list(again.parent)
            assert again.children == []
        alone = queue.result(square.delay(2).id)
        assert (alone.parent, alone.children, alone.root) == (None, [], alone)


def test_a_chain_that_ends_with_a_group_has_its_results() -> None:
    with queue.testing():
        sent = (square.s(2) | group(add.s(1), add.s(2))).delay()
        assert sent.get(timeout=30) == [5, 6]
        assert sent.id is not None
        assert queue.results(sent.id).get(timeout=30) == [5, 6]
        assert sent[0].root == sent[1].parent


def test_states_of_many() -> None:
    with queue.testing():
        assert states_of(list(group(square.s(1), boom.s()).delay())) == [("SUCCESS", True), ("FAILURE", True)]


def test_what_is_not_there() -> None:
    with queue.testing():
        for ask in (queue.results, queue.workflow):
            with pytest.raises(UnknownTask, match="no workflow 'nobody' in queue 'workflows'"):
                ask("nobody")
            with pytest.raises(TypeError, match="takes the id of a task"):
                ask(None)  # type: ignore[arg-type]
