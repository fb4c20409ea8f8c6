"""Workflows as the memory broker keeps them: what a program asks of it."""

from __future__ import annotations

from hotqueue.tasks import State, chain, group
from hotqueue.tasks.client.handle import handle_of
from tests.tasks.testing.tasks import queue, square


def test_steps_that_wait_are_revoked_together() -> None:
    with queue.testing():
        queue.pause()
        found = group(chain(square.s(1), square.s()), square.s(3)).delay()
        broker = handle_of(found[0]).broker
        ids = [node.id for node in queue.workflow(found.id or "").nodes]
        assert broker.revoke_steps(ids) == 2  # the one behind another is ended with that
        assert [result.state for result in found] == [State.REVOKED] * 2
        assert broker.workflow("nobody") is None
        assert broker.records(["nobody"]) == [None]
