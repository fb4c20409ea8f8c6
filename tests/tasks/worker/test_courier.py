"""What is settled apart from a queue's other outcomes, and how it ends if the server refuses it again and again."""

from __future__ import annotations

import pytest

from hotqueue.sizes import LARGE
from hotqueue.tasks.wire.settlement import Settlement
from hotqueue.tasks.worker.courier import MOST_BREAKS
from hotqueue.tasks.worker.subscription import Subscription
from tests.support.waiting import wait_until
from tests.tasks.worker.test_subscription import deliver

pytestmark = pytest.mark.servers("server")


def test_a_large_outcome_that_is_gone_after_it_was_cut_off_time_and_again_had_arrived(
    subscription: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    subscription.in_hand["id"] = deliver()
    for _ in range(MOST_BREAKS):
        subscription.cut_off([Settlement("id", 1, "S", b"x" * LARGE, 1000, "")])
    subscription.settled([action for action in subscription.take_unsettled() if action.code == "L"])
    wait_until(lambda: subscription.courier.is_empty)
    assert "does not count" not in caplog.text
