"""What stands behind running tasks knows which of them are in hand, and when they are to go on elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from hotqueue.tasks.worker.subscription import Subscription
from tests.tasks.worker.test_subscription import deliver

pytestmark = pytest.mark.servers("server")


def test_it_keeps_nothing_of_what_is_not_in_hand(subscription: Subscription) -> None:
    backing = subscription.backing
    assert not backing.keep("id", b"1 0\n", None)
    assert not asyncio.run(backing.akeep("id", b"1 0\n"))
    subscription.accept([deliver()])  # which no server knows of
    assert not backing.keep("id", b"1 0\n", 0.1)
    assert (backing.kept("id"), asyncio.run(backing.akept("id"))) == (None, None)


def test_it_says_when_its_worker_does(subscription: Subscription) -> None:
    assert not subscription.backing.is_stopping
    subscription.backing.stopping = lambda: True
    assert subscription.backing.is_stopping
