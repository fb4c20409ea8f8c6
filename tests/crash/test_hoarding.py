"""No task waits behind a long one while another process is idle, however large the batches have grown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.deployment import Deployment
from tests.waiting import wait_until

pytestmark = pytest.mark.servers("server")


@pytest.fixture
def deployment(queue_name: str, store_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A queue with workers."""
    made = Deployment(queue_name, store_url, tmp_path)
    yield made
    made.stop()
    print(made.said()[-3000:])


@pytest.mark.parametrize("longs", [1, 2])
@pytest.mark.parametrize("options", [("-p3",), ("-p1", "-t3")], ids=["processes", "threads"])
def test_short_tasks_pass_long_ones(deployment: Deployment, options: tuple[str, ...], longs: int) -> None:
    """Workers warmed up by short tasks fetch hundreds, one of them ahead; a long one among them must not keep the rest."""
    deployment.start(*options)
    assert len(deployment.tasks.noop.map(range(3000)).get(30)) == 3000
    before = deployment.tasks.noop.map(range(500))
    held = [deployment.tasks.hold.delay(n) for n in range(longs)]
    after = deployment.tasks.noop.map(range(1500))
    assert before.get(10) == list(range(500))
    assert after.get(10) == list(range(1500))
    wait_until(lambda: sorted(deployment.numbers("start")) == list(range(longs)))
    assert not any(result.ready() for result in held)
    deployment.release()
    assert [result.get(10) for result in held] == list(range(longs))
    wait_until(lambda: deployment.unfinished() == 0)


def test_a_lone_worker_takes_its_own_hoard_again(deployment: Deployment) -> None:
    """What was taken back from behind a long task runs when that ends, in order, once."""
    deployment.start("-p1")
    assert len(deployment.tasks.noop.map(range(3000)).get(30)) == 3000
    held = deployment.tasks.hold.delay(0)
    after = deployment.tasks.work.map(range(1, 101))
    wait_until(lambda: deployment.numbers("start") == [0])
    deployment.release()
    assert held.get(10) == 0
    assert after.get(10) == list(range(1, 101))
    assert deployment.numbers("start") == list(range(101))
