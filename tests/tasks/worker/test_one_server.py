"""One server as a worker works with it: what is there to be settled, and what is said of its being away."""

from __future__ import annotations

import pytest

from hotqueue.errors import ConnectionFailed
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker.one_server import Place
from hotqueue.tasks.worker.sync_worker import SyncWorker

pytestmark = pytest.mark.servers("server")


def test_a_place_is_waited_for_while_there_is_something_to_settle_or_to_put_back(worker: SyncWorker) -> None:
    place = Place((1, "server"), worker)
    place.subscriptions = worker.subscriptions
    [subscription] = worker.subscriptions
    assert not place.has_unsettled
    subscription.unstarted.append(Delivery("id", 1, "s", b"", b""))
    assert place.has_unsettled
    subscription.unstarted.clear()
    subscription.unsettled.append(Settlement("id", 1, "S", b"", 0, ""))
    assert place.has_unsettled
    subscription.unsettled.clear()


def test_what_is_found_out_comes_from_all_of_its_queues_at_once(worker: SyncWorker) -> None:
    place = Place((1, "server"), worker)
    place.subscriptions = worker.subscriptions
    assert place.find(worker.subscriptions) == [(worker.subscriptions[0], [], True)], "it holds nothing that it has not in hand"


def test_that_it_is_away_is_said_once_and_that_it_is_back_too(worker: SyncWorker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    place = Place((1, "server"), worker)
    for _ in range(2):
        place.say_away(ConnectionFailed("no answer"))
    place.find(worker.subscriptions)
    place.find(worker.subscriptions)
    assert caplog.text.count("trying again until it answers, the other queues go on") == 1
    assert caplog.text.count("answers again") == 1
