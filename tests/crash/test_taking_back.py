"""Taking back what a worker has not started never takes what it has: no task is started twice by workers that live.

Of the kind: a fetch whose reply was lost, so that `recover` hands its tasks over in another order, or with others;
many of them, and ids so long that Redis keeps them in no order; a taking back that comes late, or twice; numbers that look alike
(modulo 256, or at another queue of the same worker). The last ones are in tests/tasks/broker/test_session.py and test_broker.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from tests.crash.rig import ROUNDS, Rig, load_scripts
from tests.crash.test_network import fetches
from tests.support.proxy import LOSE_REPLY, Fault, Proxy
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

MANY = 250


@pytest.fixture
def rig(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Rig]:
    """A queue with one worker process of one thread, used to tasks of microseconds, behind `rig.proxy`."""
    server = start_redis()
    made = Rig(tmp_path, server.url, server.client())
    load_scripts(made.redis)
    made.proxy = Proxy(server.url)  # type: ignore[attr-defined]
    made.start("-t1", url=made.proxy.url)  # type: ignore[attr-defined]
    assert made.tasks.work.map(range(10_000, 10_600)).get(30) == list(range(10_000, 10_600))
    yield made
    made.stop()
    made.proxy.close()  # type: ignore[attr-defined]
    print(made.said()[-4000:])


def send_together(rig: Rig, dragging: range, mark: Callable[[bytes], bool]) -> list[object]:
    """Send MANY calls that one fetch brings, those of `dragging` of 0.2 s; harm comes to the first request that fits `mark`."""
    rig.queue.pause()
    with rig.queue.batch():
        found = [
            rig.tasks.work.apply_async((n, 0.2 if n in dragging else 0.0), task_id=f"{n}-{secrets.token_hex(60)}")
            for n in range(MANY)
        ]
    rig.proxy.add(Fault(LOSE_REPLY, lambda said: not rig.queue._tasks.broker.is_paused() and mark(said)))  # type: ignore[attr-defined]
    rig.queue.resume()
    return found


@pytest.mark.parametrize("dragging", [range(0, MANY, 25), range(120, MANY, 40)], ids=["early", "late"])
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_lost_fetch_reply_makes_no_task_run_twice(rig: Rig, turn: int, dragging: range) -> None:
    """`recover` has handed them over, one of them drags, and those behind it go back: those, and not the one that runs."""
    results = send_together(rig, dragging, fetches)
    assert [r.get(30) for r in results] == list(range(MANY))  # type: ignore[attr-defined]
    assert rig.proxy.faults[LOSE_REPLY] == 1  # type: ignore[attr-defined]
    assert {n: times for n, times in rig.starts().items() if times > 1} == {}
    assert "no longer ours" not in rig.said()
    rig.check_nothing_left()


def test_a_taking_back_whose_reply_is_lost_takes_nothing_that_runs_by_then(rig: Rig) -> None:
    results = send_together(rig, range(0, MANY, 25), lambda said: scripts.TAKE_BACK.sha in said)
    assert [r.get(30) for r in results] == list(range(MANY))  # type: ignore[attr-defined]
    assert {n: times for n, times in rig.starts().items() if times > 1} == {}
    rig.check_nothing_left()


def test_what_is_left_of_a_fetch_goes_back_to_its_place(rig: Rig) -> None:
    """And so is started in the order in which it was sent, though in between it was held, handed over and taken back."""
    send_together(rig, range(1), fetches)
    wait_until(lambda: rig.redis.zcard(keys.ready(rig.name)) == 0 and rig.unfinished() == 0)
    assert [int(n) for (n, *_) in rig.noted() if int(n) < MANY] == list(range(MANY))
