"""What a worker holds of a queue, and what is known of whether that was settled."""

from __future__ import annotations

import time

import pytest

from hotqueue.tasks.wire import envelope
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


def rated(gates: bytes) -> Delivery:
    """Return a delivery of a task with these gates."""
    call, flags = envelope.call_header("7", gates=gates)
    form = envelope.Form(envelope.task_header("t", "q", {}), envelope.SYNC, 0, flags)
    return Delivery("id", 1, "s", b"", form.encode(b"id", 0, call, b"payload"))


def test_what_a_rate_limits_is_soon_too_late_after_its_fetch(subscription: Subscription) -> None:
    each = rated(b"c1 k:a\nr5/1000 k:a")
    subscription.sent_at = time.monotonic()
    assert not subscription.is_too_late(each)
    subscription.sent_at -= 0.1
    assert subscription.is_too_late(each)
    assert not subscription.is_too_late(rated(b"r5/60000 k:a"))
    subscription.sent_at = 0.0  # it was fetched some time before an error
    assert subscription.is_too_late(rated(b"r5/86400000 k:a"))
    assert not subscription.is_too_late(rated(b"c5 k:a\nf k:a"))
    assert not subscription.is_too_late(deliver())


def test_how_long_replies_take_at_the_least_is_not_held_against_it(subscription: Subscription) -> None:
    each = rated(b"r5/1000 k:a")
    found = []
    for _ in range(3):
        subscription.sent_at = time.monotonic() - 0.3
        found.append(subscription.is_too_late(each))
    assert found == [True, False, False]
