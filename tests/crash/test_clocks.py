"""Clocks that are wrong, and clocks that jump, of workers, producers and the server: only the server's time counts."""

from __future__ import annotations

import json
import os
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotqueue import ConnectionFailed, HotQueue, TimeLimitExceeded, keys, presence
from hotqueue.messages import consumer
from tests.crash.clock import Clock, ServerWithClock
from tests.crash.rig import Rig, report
from tests.crash.workers import seconds_until
from tests.support.durations import let_pass
from tests.support.processes import run_python
from tests.support.servers import RedisServer
from tests.support.waiting import allowed, wait_until

HOUR = 3600
KEPT = 86_400  # seconds that results are kept: Redis drops what is older than that by its own clock


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock that is right until the test puts it wrong."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def server(clock: Clock, tmp_path: Path) -> Iterator[ServerWithClock]:
    """A server that goes by `clock`."""
    made = ServerWithClock(tmp_path / "redis", clock)
    yield made
    made.stop()


@pytest.fixture
def start_rig(tmp_path: Path) -> Iterator[Callable[[RedisServer], Rig]]:
    """``start_rig(server)`` → a queue on the server; the workers' log is shown when the test fails."""
    made: list[Rig] = []

    def start(server: RedisServer) -> Rig:
        made.append(Rig(tmp_path, server.url, server.client()))
        return made[-1]

    yield start
    for rig in made:
        rig.stop()
        print(rig.said()[-4000:])


@pytest.fixture
def rig(start_redis: Callable[..., RedisServer], start_rig: Callable[[RedisServer], Rig]) -> Rig:
    """A queue on a server whose clock is right."""
    return start_rig(start_redis())


@pytest.fixture
def clocked(server: ServerWithClock, start_rig: Callable[[RedisServer], Rig]) -> Rig:
    """A queue on the server that goes by `clock`."""
    return start_rig(server)


def out_of_sight(rig: Rig) -> None:
    """Have only leases tell who lives, as between hosts."""
    for name in rig.registered():
        presence.forget(presence.folder(), name)


def send(rig: Rig, numbers: range, seconds: float = 0.0) -> dict[int, Any]:
    return {n: rig.send(rig.tasks.work, n, seconds, result_expires=KEPT) for n in numbers}


def check_each_ran_once(rig: Rig, results: dict[int, Any], timeout: float = 30, overran: int = 0) -> None:
    """Wait for results; of the others, `overran` may have run into their time limits by then."""
    deadline = time.monotonic() + timeout
    for n, result in results.items():
        assert result.get(max(0.1, deadline - time.monotonic())) == n
    starts = rig.starts()
    assert {n: starts[str(n)] for n in results} == dict.fromkeys(results, 1)
    assert rig.counted("lost") <= overran
    assert "given up" not in rig.said()
    assert "is lost" not in rig.said()
    assert "Traceback" not in rig.said()


# --- a worker's clock --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_worker_whose_clock_is_wrong(rig: Rig, clock: Clock, wrong: int) -> None:
    """Row 40: due times, expiries, retries and what is told of them are as if its clock were right."""
    clock.put(wrong)
    rig.start("--lease", "2", env=clock.env(rig.env["PYTHONPATH"]))
    told = rig.send(rig.tasks.time_of_day).get(30)
    assert abs(told - time.time() - wrong) < 60, "its clock is not wrong: this test shows nothing"
    began = time.monotonic()
    soon = rig.send(rig.tasks.work, 1, countdown=1.5)
    fresh = rig.send(rig.tasks.work, 2, expires=30)
    again = rig.send(rig.tasks.retry_at, 3, datetime.now(UTC) + timedelta(seconds=1.5))
    later = rig.send(rig.tasks.flaky, 4, 2)
    at = rig.send(rig.tasks.work, 5, eta=datetime.now(UTC) + timedelta(seconds=1.5))
    assert fresh.get(30) == 2
    assert later.get(30) == 4
    starts = rig.starts()
    if time.monotonic() - began < 1.4:  # else this machine is too slow to tell
        assert not {"1", "5"} & set(starts)
        assert starts["3"] == 1
    assert [soon.get(30), again.get(30), at.get(30)] == [1, 3, 5]
    assert 1.4 < time.monotonic() - began < allowed(5)
    for result in (soon, fresh, later):
        assert abs(result.date_done - datetime.now(UTC)) < timedelta(minutes=1)
    assert rig.starts() == {"1": 1, "2": 1, "3": 2, "4": 3, "5": 1}
    rig.check_nothing_left()


def test_workers_whose_clocks_differ_and_jump(rig: Rig, clock: Clock) -> None:
    """Row 40: two workers, each out of the other's sight, an hour ahead and behind by turns; nobody's lease is taken."""
    rig.start("--lease", "2")
    rig.start("--lease", "2", env=clock.env(rig.env["PYTHONPATH"]))
    out_of_sight(rig)
    results = send(rig, range(6), 3.0)
    overran = rig.send(rig.tasks.limited_work, 900, 60)
    for turn, wrong in enumerate((HOUR, -HOUR, 0, -HOUR, HOUR), 1):
        enough = time.monotonic() + 0.6
        clock.put(wrong)
        results |= send(rig, range(100 * turn, 100 * turn + 50))
        results |= {n: rig.send(rig.tasks.limited_work, n, 0.5) for n in (100 * turn + 60,)}
        let_pass(enough - time.monotonic())
    check_each_ran_once(rig, results, overran=1)
    with pytest.raises(TimeLimitExceeded):
        overran.get(30)
    rig.check_nothing_left()


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_producer_whose_clock_is_wrong(rig: Rig, clock: Clock, wrong: int) -> None:
    """Row 40: delays, expiries and time-outs are spans, and right whatever its clock says."""
    clock.put(wrong)
    rig.start()
    script = """
        import json, sys, time
        sys.path[:0] = [sys.argv[1]]
        import fault_tasks
        began = time.monotonic()
        soon = fault_tasks.work.apply_async((1,), countdown=1.0)
        fresh = fault_tasks.work.apply_async((2,), expires=30)
        got = [fresh.get(30)]
        try:
            got.append(soon.get(0.2))
        except TimeoutError:
            got.append("not yet")
        got.append(time.monotonic() - began < 0.9)
        got.append(soon.get(30))
        got += [time.monotonic() - began, time.time()]
        late = fault_tasks.work.apply_async((3,), countdown=60)
        print(json.dumps([*got, late.revoke()]))
    """
    app = rig.env["PYTHONPATH"].split(os.pathsep)[0]
    done = run_python(textwrap.dedent(script), app, env={**rig.env, **clock.env(rig.env["PYTHONPATH"])})
    fresh, early, quick, soon, took, told, revoked = json.loads(done.stdout)
    assert abs(told - time.time() - wrong) < 60, "its clock is not wrong: this test shows nothing"
    assert (fresh, soon, revoked) == (2, 1, "revoked")
    assert early == "not yet" or not quick
    assert 1.0 <= took < allowed(4)
    assert rig.starts() == {"1": 1, "2": 1}


# --- the server's clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_in_sight", [True, False], ids=["one host", "hosts"])
def test_the_servers_clock_jumps_forward(clocked: Rig, clock: Clock, is_in_sight: bool) -> None:
    """Row 41: an hour ahead at once ends every lease; nobody takes the living for dead, and what is due by now is run."""
    for _ in range(2):
        clocked.start("--lease", "2")
    if not is_in_sight:
        out_of_sight(clocked)
    later = clocked.send(clocked.tasks.work, 999, countdown=2 * HOUR - 60, result_expires=KEPT)
    results, took = {}, []
    for turn in (1, 2):
        results |= send(clocked, range(1000 * turn, 1000 * turn + 2), 4.0)
        results |= send(clocked, range(1000 * turn + 10, 1000 * turn + 60))
        wait_until(lambda turn=turn: {str(1000 * turn), str(1000 * turn + 1)} <= set(clocked.starts()))
        assert "999" not in clocked.starts()
        clock.put(turn * HOUR)
        began = time.monotonic()
        results |= send(clocked, range(1000 * turn + 100, 1000 * turn + 150))
        assert results[1000 * turn + 1].get(30) == 1000 * turn + 1
        took.append(seconds_until(partial(results[1000 * turn + 149].get, 10)))
        let_pass(began + 3.5 - time.monotonic())  # a lease and a half, and more
    assert later.get(30) == 999
    check_each_ran_once(clocked, results)
    clocked.check_nothing_left()


@pytest.mark.parametrize("is_in_sight", [True, False], ids=["one host", "hosts"])
def test_the_servers_clock_jumps_back(clocked: Rig, clock: Clock, is_in_sight: bool) -> None:
    """Row 41: an hour back under the living; idle ones, whose BLPOP now lasts an hour, take up what comes all the same."""
    for _ in range(2):
        clocked.start("--lease", "2")
    if not is_in_sight:
        out_of_sight(clocked)
    results = send(clocked, range(2), 3.0)
    wait_until(lambda: {"0", "1"} <= set(clocked.starts()))
    clock.put(-HOUR)
    results |= send(clocked, range(10, 60))
    check_each_ran_once(clocked, results)
    let_pass(2)  # they are idle
    clock.put(-2 * HOUR)
    took = seconds_until(lambda: clocked.send(clocked.tasks.work, 70, countdown=0.5, result_expires=KEPT).get(30) == 70, 40)
    report("server's clock an hour back, idle workers", [took])
    assert took < allowed(10)
    assert "Traceback" not in clocked.said()
    clocked.check_nothing_left()


def test_what_a_dead_worker_held_is_not_stranded_when_the_clock_goes_back(clocked: Rig, clock: Clock) -> None:
    """Row 41: its lease would run for another hour; no lease does."""
    doomed = clocked.start("--lease", "2")
    out_of_sight(clocked)
    result = clocked.send(clocked.tasks.work, 1, 60.0)
    wait_until(lambda: clocked.starts()["1"])
    doomed.kill()
    clock.put(-HOUR)
    clocked.tasks.work.delay(2)
    clocked.start("--lease", "2")
    took = seconds_until(lambda: clocked.starts()["1"] == 2, 20)
    report("worker of another host dead, server's clock an hour back", [took])
    assert took < allowed(10)
    assert result.revoke(terminate=True) == "running, being stopped"
    wait_until(clocked.is_settled)


# --- the server's clock, and plain queues ------------------------------------------------------------------------------

HOLD = """
    import sys
    from hotqueue import HotQueue
    for message in HotQueue(sys.argv[1], url=sys.argv[2]).consume():
        print(message, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def hold(server: ServerWithClock, start_python: Callable[..., Any]) -> Callable[[str], Any]:
    """``hold(queue)`` → a process that holds the oldest message, out of sight; a line on its stdin lets it go on."""

    def start(name: str) -> Any:
        process = start_python(textwrap.dedent(HOLD), name, server.url)
        assert process.stdout.readline()
        for raw in server.client().zrange(keys.consumers(name), 0, -1):
            presence.forget(presence.folder(), raw.decode())
        return process

    return start


@pytest.fixture
def quick_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which judges: as if consumers renewed more often than each second."""
    monkeypatch.setattr(consumer, "JUMP_GRACE", 1.0)


@pytest.mark.usefixtures("quick_renewal")
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_dead_consumers_message_comes_back_whatever_the_clock_does(
    server: ServerWithClock, clock: Clock, hold: Callable[[str], Any], jump: int
) -> None:
    """Row 41: forward, its lease has ended; back, it would run for another hour, and no lease does."""
    with HotQueue("clocks", url=server.url) as queue:
        queue.put("held")
        process = hold("clocks")
        process.kill()
        process.wait()
        assert list(queue.consume(block=False)) == []
        clock.put(jump)
        assert next(queue.consume(timeout=10)) == "held"


def test_a_living_consumer_keeps_its_message_when_the_clock_jumps(
    server: ServerWithClock, clock: Clock, hold: Callable[[str], Any]
) -> None:
    """Row 41: its lease has ended at once, and it renews only each half minute; nobody takes its message meanwhile."""
    with HotQueue("clocks", url=server.url) as queue:
        queue.put("held")
        process = hold("clocks")
        assert list(queue.consume(block=False)) == []
        for wrong in (HOUR, 0, 2 * HOUR):
            clock.put(wrong)
            assert list(queue.consume(timeout=1.5 * consumer.GRACE)) == []
        process.stdin.write("\n")
        process.stdin.flush()
        queue.put("next")
        assert process.stdout.readline() == "next\n"
        assert server.client().hlen(keys.came_back("clocks")) == 0


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_who_waits_for_a_message_gets_it_whatever_the_clock_does(server: ServerWithClock, clock: Clock, wrong: int) -> None:
    """Row 41: put back, Redis ends no wait for an hour; the client does, within seconds, and asks again."""
    with HotQueue("clocks", url=server.url) as queue:
        got: list[object] = []
        waiting = threading.Thread(target=lambda: got.extend(queue.consume(timeout=8)))
        waiting.start()
        wait_until(lambda: int(server.client().info("clients")["blocked_clients"]) == 1)
        clock.put(wrong)
        queue.put(1)
        waiting.join(30)
        assert got == [1]


def test_a_get_that_the_clock_holds_up_says_so(server: ServerWithClock, clock: Clock) -> None:
    """Row 41: BLPOP, put back an hour, does not come back; `get` removes at once, so it cannot ask again."""
    with HotQueue("clocks", url=server.url) as queue:
        caught: list[BaseException] = []

        def wait() -> None:
            try:
                queue.get(block=True, timeout=2)
            except ConnectionFailed as error:
                caught.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: int(server.client().info("clients")["blocked_clients"]) == 1)
        clock.put(-HOUR)
        assert seconds_until(lambda: not waiting.is_alive(), 20) < allowed(12)
        assert "one message may have been taken" in str(caught[0])
        wait_until(lambda: int(server.client().info("clients")["blocked_clients"]) == 0)  # else it is sent to who is gone
        queue.put(1)
        assert queue.get(block=True, timeout=30) == 1
