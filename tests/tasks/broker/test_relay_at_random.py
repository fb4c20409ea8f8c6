"""Relays side by side, each stopped at any step for any time, in any order: each task comes, and once.

They run in threads that go on by a step when they are told to; what came is run and leaves no trace, and now and then the queue
has seen numbers that are far ahead of those of the outbox.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from typing import Any

import pytest

from hotqueue.tasks.broker.relay import relay
from tests.tasks.contents import Room
from tests.tasks.two_queues import post, run_all, task

pytestmark = pytest.mark.servers("server")
SEEDS = range(4 * int(os.environ.get("HOTQUEUE_CRASH_ROUNDS", "1")))
RELAYS, STEPS = 4, 150


class Stopped:
    """A relay that stands still after each of its steps."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._go_on, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._is_over = False
        self.failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._stands.acquire()

    def _run(self) -> None:
        self._stand("")
        while not self._is_over:
            try:
                relay(self.room.broker, self._stand)
            except Exception as error:  # told where it is ended
                self.failed.append(error)
            self._stand("")

    def _stand(self, _step: str) -> None:
        self._stands.release()
        self._go_on.acquire()

    def step(self) -> None:
        self._go_on.release()
        self._stands.acquire()

    def end(self) -> None:
        """Let it go on to its end."""
        self._is_over = True
        while self._thread.is_alive():
            self._go_on.release()
            self._thread.join(0.01)
        assert self.failed == []


@pytest.mark.parametrize("seed", SEEDS)
def test_each_task_comes_once_whoever_stands_still_when(room: Room, other: Room, seed: int) -> None:
    chance, ran, sent = random.Random(seed), Counter[str](), 0
    relays = [Stopped(room) for _ in range(RELAYS)]
    happened: list[Any] = []
    try:
        for _ in range(STEPS):
            what = chance.choices(["send", "run", "step", "ahead"], [10, 15, 70, 2])[0]
            happened.append(what)
            if what == "send":
                more = chance.randrange(1, 4)
                post(room, *(task(other, f"t{n}") for n in range(sent, sent + more)))
                sent += more
            elif what == "run":
                ran.update(run_all(other))
            elif what == "ahead" and other["receipts"]:
                highest = int(other["receipts"][room.queue.name].split()[0])
                other.client.hset(f"{other.prefix}receipts", room.queue.name, f"{highest + 10**9} 1")
            else:
                happened[-1] = chance.randrange(RELAYS)
                relays[happened[-1]].step()
            assert max(ran.values(), default=0) <= 1, happened
    finally:
        for each in relays:
            each.end()
    relay(room.broker)
    ran.update(run_all(other))
    assert ran == Counter(f"t{n}" for n in range(sent)), happened
    assert (room["outbox"], room[f"posted:{other.queue.name}"]) == (None, None)
