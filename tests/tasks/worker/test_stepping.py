"""Steps whose requests or replies are lost: nothing is lost with them, nothing counts twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.worker.process import Process
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from tests.tasks import sample
from tests.tasks.sample import seen

MakeQueue = Callable[..., HotQueue]
pytestmark = pytest.mark.servers("server")


class TestLostReplies:
    @pytest.fixture
    def proxied(self, store_url: str, make_queue: MakeQueue) -> Iterator[tuple[Proxy, HotQueue]]:
        proxy = Proxy(store_url)
        yield proxy, make_queue(url=proxy.url)
        proxy.close()

    def test_no_task_is_lost_or_run_twice_while_replies_of_all_kinds_are_lost(
        self, proxied: tuple[Proxy, HotQueue], make_queue: MakeQueue, start: Callable[..., Process]
    ) -> None:
        proxy, theirs = proxied
        ours = make_queue()
        theirs.task(sample.note)
        note = ours.task(sample.note)
        start(theirs)
        for _ in range(5):
            proxy.lose_reply(b"EVALSHA", times=2)
            proxy.lose_request(b"EVALSHA", times=1)
        results = note.map(range(300))
        assert results.get(timeout=50) == list(range(300))
        assert proxy.faults["lose reply"] + proxy.faults["lose request"] >= 8
        assert sorted(seen) == list(range(300))

    @pytest.mark.parametrize("size", [1000, 300_000])  # with the next step, and apart
    def test_an_outcome_whose_reply_was_lost_counted_and_is_not_said_not_to(
        self, proxied: tuple[Proxy, HotQueue], start: Callable[..., Process], caplog: pytest.LogCaptureFixture, size: int
    ) -> None:
        proxy, queue = proxied
        large = queue.task(sample.large)
        process = start(queue)
        proxy.lose_reply(lambda request: scripts.STEP.sha in request and b"x" * size in request)
        assert len(large.delay(size).get(timeout=30)) == size
        wait_until(lambda: not any(subscription.in_hand for worker in process.workers for subscription in worker.subscriptions))
        assert proxy.pending == 0
        assert "does not count" not in caplog.text
