"""What a worker holds of a queue, and what is known of whether that was settled."""

from __future__ import annotations

import pytest

from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.subscription import Subscription
from tests.tasks.contents import sync
from tests.tasks.worker.test_subscription import deliver, stepped

pytestmark = pytest.mark.servers("server")


def test_time_is_the_servers(subscription: Subscription) -> None:
    subscription.took(stepped(1_000_000))
    assert 1_000_000 <= subscription.now() < 1_010_000


def test_what_is_settled_is_no_longer_in_hand_unless_it_came_again_under_another_number(subscription: Subscription) -> None:
    first, again = deliver(), Delivery("id", 2, "s", b"", sync().encode())
    subscription.took(stepped(1, first))
    assert (list(subscription.unstarted), subscription.in_hand) == ([first], {"id": first})
    subscription.accept([again])
    subscription.settled([Settlement("id", 1, "S", b"", 0, "")])
    assert subscription.in_hand == {"id": again}
    subscription.settled([Settlement("id", 2, "S", b"", 0, "")])
    assert subscription.in_hand == {}


def gone(subscription: Subscription, settlement: Settlement) -> None:
    """Have a settlement be answered by: there is no such task any more."""
    subscription.note_gone([settlement.id], [settlement])


def test_an_outcome_that_does_not_count_is_said(subscription: Subscription, caplog: pytest.LogCaptureFixture) -> None:
    subscription.accept([deliver()])
    gone(subscription, Settlement("id", 1, "S", b"", 0, ""))
    assert "task id was no longer ours when it ended; its outcome here does not count" in caplog.text


def test_nothing_is_said_of_one_that_may_have_arrived_nor_of_a_task_that_did_not_run(
    subscription: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    subscription.accept([deliver()])
    gone(subscription, Settlement("id", 1, "P", b"", 0, ""))  # put back
    subscription.doubt([Settlement("id", 1, "S", b"", 0, "")])
    gone(subscription, Settlement("id", 1, "S", b"", 0, ""))
    assert caplog.text == ""


def test_what_was_settled_is_in_doubt_no_more(subscription: Subscription, caplog: pytest.LogCaptureFixture) -> None:
    ended = Settlement("id", 1, "S", b"", 0, "")
    subscription.doubt([ended])
    subscription.settled([ended])
    subscription.accept([deliver()])  # it came again
    gone(subscription, ended)
    assert "does not count" in caplog.text
