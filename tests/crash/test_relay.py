"""What goes from queue to queue while those who bring it are killed, or stopped for long: each task comes, and once.

Real processes, killed at each step of a relay, two side by side. What comes is run and ended without a trace at once, and what
remembers ended tasks is emptied all the while: so nothing but receipts keeps anybody from bringing it twice.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue, keys
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.relay import STEPS, relay
from hotqueue.tasks.broker.session import Session
from hotqueue.tasks.wire.outgoing import Outgoing, packed
from hotqueue.tasks.wire.settlement import Settlement
from tests.support.durations import take_time
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until
from tests.tasks.contents import sync

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals")
ROUNDS = int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1"))
ENVELOPE = sync().encode()

RELAYER = """
import os, random, signal, sys, time
from hotqueue import HotQueue, HotQueueError
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.relay import relay
queue = HotQueue("source", url=sys.argv[1])
broker, point, name = Broker(queue._store, "source"), sys.argv[2], sys.argv[3]
def passed(step):
    if step == point and random.random() < 0.3:
        os.kill(os.getpid(), getattr(signal, name))
print("ready", flush=True)
while True:
    relay(broker, passed)
    time.sleep(0.005)
"""


class Bench:
    """A source whose tasks send others to two queues, whose workers end them without a trace."""

    def __init__(self, server: RedisServer) -> None:
        self.url = server.url
        self.store = HotQueue("source", url=server.url)._store
        self.source = Broker(self.store, "source")
        self.ran: Counter[str] = Counter()
        self.sent = 0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(name,)) for name in ("one", "two")]
        for thread in self.threads:
            thread.start()

    def _work(self, name: str) -> None:
        broker = Broker(self.store, name)
        session = Session(broker, "w", "s")
        session.register(600_000, {"host": "h"})
        while not self.is_over.is_set():
            found = [each.id for each in session.step(100).deliveries]
            session.settle([Settlement(each, "*", "X", b"", 0, "") for each in found])
            for third in range(3):
                self.store.command(keys.tasks(name), "DEL", keys.done(name, third))
            self.ran.update(found)
            if not found:
                take_time(0.005)

    def send(self, count: int) -> None:
        """End as many tasks, each of which sends one to either queue."""
        session = Session(self.source, "s", "s")
        session.register(600_000, {"host": "h"})
        session.number = self.sent
        for n in range(self.sent, self.sent + count):
            self.source.enqueue_one(f"step{n}", ENVELOPE)
            assert len(session.step(1).deliveries) == 1
            outgoing = [Outgoing(name, f"{name}-{n}", "", "", ENVELOPE) for name in ("one", "two")]
            session.settle([Settlement(f"step{n}", "*", "X", b"", 0, packed(outgoing))])
        self.sent += count

    @property
    def expected(self) -> Counter[str]:
        return Counter(f"{name}-{n}" for n in range(self.sent) for name in ("one", "two"))

    def all_ran_once(self) -> bool:
        assert max(self.ran.values(), default=0) <= 1, [each for each, times in self.ran.items() if times > 1]
        return len(self.ran) == 2 * self.sent

    def close(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def bench(start_redis: Callable[..., RedisServer]) -> Iterator[Bench]:
    made = Bench(start_redis())
    yield made
    made.close()


def drained(bench: Bench) -> None:
    """Bring what is left, and see that each task has run once and nothing is kept but what was heard last."""
    relay(bench.source, most=1000)
    wait_until(bench.all_ran_once)
    assert bench.ran == bench.expected
    wait_until(lambda: relay(bench.source, most=1000) == 0 and not bench.source.targets())  # one that was stopped may strike last
    left = {key.decode().partition("}:")[2] for key in bench.store.scan("*") if b":posted:" in key or b":received:" in key}
    assert (left, bench.source.targets()) == (set(), [])


@pytest.mark.parametrize("step", STEPS)
def test_a_relay_killed_at_any_step_loses_and_doubles_nothing(bench: Bench, start_python: Callable[..., Any], step: str) -> None:
    for _ in range(3 * ROUNDS):
        relayers = [start_python(RELAYER, bench.url, step, "SIGKILL") for _ in range(2)]
        for process in relayers:
            assert process.stdout.readline() == "ready\n"
        while all(process.poll() is None for process in relayers):
            bench.send(5)
            bench.all_ran_once()
        for process in relayers:
            process.kill()
            process.wait()
    drained(bench)


def test_one_that_was_stopped_at_any_step_and_goes_on_long_after_doubles_nothing(
    bench: Bench, start_python: Callable[..., Any]
) -> None:
    stopped = [start_python(RELAYER, bench.url, step, "SIGSTOP") for step in STEPS]
    for process in stopped:
        assert process.stdout.readline() == "ready\n"
    for _ in range(10 * ROUNDS):
        bench.send(10)
        time_of = random.random() * 0.02
        began = time.monotonic()
        while time.monotonic() - began < time_of:
            relay(bench.source)
    drained(bench)
    for process in stopped:
        process.send_signal(signal.SIGCONT)
    bench.send(5)
    drained(bench)
    for process in stopped:
        assert process.poll() is None
        process.kill()
        process.wait()
    drained(bench)


def test_a_supervisor_brings_what_others_left(bench: Bench, start_command: Callable[..., Any]) -> None:
    """Nobody but a worker of the source is there, which has nothing to run itself."""
    bench.send(3)
    worker = start_command("hotqueue-worker", "-Q", "source", "-u", bench.url, "-p1")
    wait_until(bench.all_ran_once)
    wait_until(lambda: bench.source.targets() == [])
    assert worker.poll() is None
