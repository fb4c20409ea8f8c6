"""group: its members, their results together, and the id by which these are found again."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from hotqueue import UnknownTask
from hotqueue.tasks import ResultSet, State, group
from tests.tasks.sample import seen
from tests.tasks.workflow.tasks import add, asquare, boom, caught, queue, square


def test_members_run_side_by_side_and_are_given_what_it_is_given() -> None:
    with queue.testing():
        found = group(square.s(n) for n in range(4)).delay()
        assert isinstance(found, ResultSet)
        assert found.get(timeout=30) == [0, 1, 4, 9]
        assert sorted(r.get() for r in found.as_completed(timeout=30)) == [0, 1, 4, 9]
        assert (len(found), found.completed_count(), found.ready(), found.successful(), found.failed()) == (
            4,
            4,
            True,
            True,
            False,
        )
        assert group(add.s(1), asquare.s()).delay(3).get(timeout=30) == [4, 9]


def test_an_empty_one_has_an_empty_list() -> None:
    with queue.testing():
        found = group([]).delay()
        assert (found.get(timeout=1), found.ready(), found.completed_count(), len(found)) == ([], True, 0, 0)


def test_groups_of_groups_have_lists_of_lists() -> None:
    with queue.testing():
        made = group(group(square.s(1), square.s(2)), square.s(3), group([]))
        assert made.delay().get(timeout=30) == made() == [[1, 4], 9, []]
        assert len(made.delay()) == 3

        async def main() -> list[object]:
            return await (await made.adelay())

        assert asyncio.run(main()) == [[1, 4], 9, []]
        assert pickle.loads(pickle.dumps(made.delay())).get(timeout=30) == [[1, 4], 9, []]


def test_its_results_are_found_by_its_id() -> None:
    with queue.testing():
        sent = group(group(square.s(1), square.s(2)), square.s(3)).delay()
        assert sent.id is not None
        again = queue.results(sent.id)
        assert (again.id, list(again), again.get(timeout=30)) == (sent.id, list(sent), [[1, 4], 9])
        named = group(square.s(1)).apply_async(task_id="mine")
        assert (named.id, queue.results("mine").get(timeout=30)) == ("mine", [1])
        with pytest.raises(UnknownTask, match="no workflow 'other' in queue"):
            queue.results("other")
        assert square.map([1]).id is None


def test_a_failed_member_leaves_the_others_alone_and_its_errback_is_called_for_each() -> None:
    with queue.testing():
        found = group(boom.s(1), square.s(2), boom.s(3)).on_error(caught.s("more")).delay()
        assert sorted(seen) == [("boom", "KeyError('boom', 1)", True, "more"), ("boom", "KeyError('boom', 3)", True, "more")]
        assert [r.state for r in found] == [State.FAILURE, State.SUCCESS, State.FAILURE]
        assert (found.completed_count(), found.failed(), found.successful()) == (1, True, False)
        with pytest.raises(KeyError):
            found.get(timeout=30)


def test_what_waits_is_revoked_together() -> None:
    with queue.testing():
        queue.pause()
        found = group(square.s(n) for n in range(3)).delay()
        assert (found.ready(), found.revoke()) == (False, 3)
        assert [r.state for r in found] == [State.REVOKED] * 3


def test_its_text() -> None:
    assert repr(group(square.s(n) for n in range(5))) == "group(square.s(0), square.s(1), square.s(2), … 2 more)"
