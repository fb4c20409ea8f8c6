"""Sending signatures, from threads and from event loops; those of one task are sent as the task is."""

from __future__ import annotations

import asyncio

import pytest

from hotqueue.tasks import chain, group
from tests.tasks.workflow.tasks import add, asquare, queue, square, total


def test_from_an_event_loop() -> None:
    async def main() -> None:
        one = await square.s(3).adelay()
        assert await one == 9
        assert await (await (asquare.s(2) | add.s(1)).adelay()) == 5
        found = await chain(asquare.s(2), group(asquare.s(), add.s(1))).adelay()
        assert await found == [16, 5]
        assert (await chain().adelay()).get() is None

    with queue.testing():
        asyncio.run(main())


def test_options_of_the_call_are_over_those_of_the_signature() -> None:
    made = square.s(3).set(task_id="one", priority=1)
    with queue.testing():
        assert made.apply_async(task_id="two").id == "two"
        assert made.delay().id == "one"
        with pytest.raises(TypeError, match="unknown option"):
            made.apply_async(prio=1)
        with pytest.raises(TypeError, match=r"takes a tuple or list of arguments"):
            made.apply_async(3)  # type: ignore[arg-type]


def test_one_task_goes_into_a_batch() -> None:
    with queue.testing():
        with queue.batch() as batch:
            sent = square.s(3).delay()
            assert len(batch) == 1
        assert sent.get(timeout=30) == 9


def test_a_workflow_is_sent_whole_or_not_at_all() -> None:
    with queue.testing():
        queue.pause()
        with pytest.raises(TypeError):
            chain(square.s(1), total.s(1, 2)).delay()
        assert queue.pending() == 0
