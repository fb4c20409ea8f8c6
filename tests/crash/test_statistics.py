"""Statistics are exact though workers are killed around their settlements: each end counts once, and each start that was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotqueue.monitor import ended, statistics
from tests.crash.deployment import Deployment
from tests.support.counts import counts
from tests.support.waiting import wait_until

pytestmark = pytest.mark.servers("server")


@pytest.mark.parametrize("point", ["after_run", "before_settle", "after_settle"])
def test_each_end_counts_once(deployment: Deployment, point: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    deployment.start("-p2", fault=f"{point}:KILL:{token}")
    for _ in range(3):
        token.touch()
        results = deployment.tasks.work.map(range(20))
        assert results.get(30) == list(range(20))
        wait_until(lambda: not token.exists())
        deployment.forget()
    queue = deployment.queue
    wait_until(lambda: deployment.unfinished() == 0)
    total = statistics.series(queue._store, queue.name, step=86400, spans=2).total
    by_scripts = counts(queue._store.client(), queue.name)
    assert (total.counts["enqueued"], total.counts["succeeded"], total.counts["failed"]) == (60, 60, 0)
    assert total.counts["lost"] == by_scripts["lost"]
    assert total.counts["started"] == 60 + by_scripts["lost"]
    assert total.run.count == total.attempts.count == 60
    assert len({row.id for row in ended.rows(queue._store, queue.name)}) == 60
