"""A producer process: sends calls until its time is over; writes down what it attempts before each call, and what was
acknowledged after it. A call whose outcome is unknown is repeated under the same id until it is acknowledged; of those of
`delay` and `map`, which draw ids of their own, only every other one, so that some outcomes stay unknown."""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hotqueue import HotQueueError
from hotqueue.tasks.broker.encoded import Encoded
from tests.chaos import tasks
from tests.support.durations import let_pass
from tests.support.notes import Notes

THREADS = 3  # of a producer, so that several calls are under way when the server goes away
PAUSE = 0.09  # seconds between two calls of a thread: the load, not a synchronisation
BURST = 200  # calls of one map in eight: long enough a line that workers fetch several at once
PATIENCE = 60.0  # seconds for which a call is repeated


class Outbox(threading.local):
    """What this thread's last call sent.

    Attributes:
        sent: the registry, the queue's name, and the tasks with their ids: what a caller of `delay` and `map` is not told when
            they raise.
        were_new: the store's answer, a bool a task.
    """

    sent: tuple[Any, str, Sequence[Encoded]] = None, "", ()
    were_new: Sequence[bool] = ()

    def watch(self) -> None:
        """Have every call of the queues go through here."""
        for queue in (tasks.queue, tasks.other):
            registry: Any = queue._tasks
            registry.send, registry.send_one = partial(self.send, registry), partial(self.send_one, registry)
            registry.begin_send = partial(self.begin_send, registry)

    def send(self, registry: Any, name: str, sent: Sequence[Encoded], _handles: object = None) -> None:
        """Enqueue, as the registry does; none of the tasks is a unique one."""
        self.sent, self.were_new = (registry, name, sent), ()
        self.were_new = registry.broker_of(name).enqueue(sent)

    def send_one(self, registry: Any, name: str, task_id: str, data: bytes, _line: bytes = b"") -> None:
        """Enqueue what `delay` sends."""
        self.send(registry, name, [Encoded(task_id, "", "", data)])

    def begin_send(self, registry: Any, name: str, sent: Sequence[Encoded]) -> Callable[[], object]:
        """Enqueue what `map` sends."""
        self.send(registry, name, sent)
        return lambda: None

    def send_again(self) -> list[Any]:
        """Repeat the last call under the same ids."""
        registry, name, sent = self.sent
        self.send(registry, name, sent)
        return [tasks.queue.result(task.id) for task in sent]


outbox = Outbox()


class Producer:
    """Sends calls, in one thread.

    Args:
        path: the file to write to.
        mark: names this producer; each call gets it and a number.
        pause: seconds between two calls, on average.
        poisons: seconds after the beginning at which to send a task that kills its process.
    """

    def __init__(self, path: str, mark: str, seed: str, pause: float, poisons: list[float]) -> None:
        self._notes = Notes(path)
        self._mark, self._dice, self._pause, self._poisons = mark, random.Random(seed), pause, poisons
        self._count = 0

    def _note(self, what: str, n: str, more: object = "-") -> None:
        self._notes.write(f"{time.monotonic():.6f}", what, n, more)

    def _next(self, kind: str) -> str:
        self._count += 1
        n = f"{self._mark}-{self._count}"
        self._note("attempt", n, f"{kind} {tasks.WIRE}")
        return n

    def run(self, seconds: float) -> None:
        """Send calls for some seconds."""
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds and os.getppid() != 1:
            if self._poisons and now >= self._poisons[0]:
                self._poisons.pop(0)
                self._with_id(self._dice.choice([tasks.poison, tasks.apoison]), "poison")
            self._one_of_many()
            let_pass(self._dice.uniform(0, 2 * self._pause))

    def _one_of_many(self) -> None:
        drawn = self._dice.random()
        if drawn < 0.3:
            self._with_id(tasks.work, "id", round(self._dice.uniform(0, 0.05), 4))
        elif drawn < 0.42:
            self._with_id(tasks.awork, "id", round(self._dice.uniform(0, 0.3), 4))
        elif drawn < 0.47:
            self._with_id(tasks.flaky, "id")
        elif drawn < 0.54:
            self._with_id(tasks.work, "id", 0.5)
        elif drawn < 0.58:
            self._with_id(tasks.elsewhere, "elsewhere", round(self._dice.uniform(0, 0.05), 4))
        elif drawn < 0.583:
            self._with_id(tasks.bulky, "id")
        elif drawn < 0.62:
            self._with_id(tasks.limited, "id", round(self._dice.uniform(0, 0.02), 4))
        elif drawn < 0.88:
            n, task = self._next("delay"), self._dice.choice([tasks.work, tasks.awork])
            self._under_drawn_ids([n], lambda: [task.delay(n)])
        else:
            many = [self._next("map") for _ in range(self._dice.choices([self._dice.randint(2, 30), BURST], [7, 1])[0])]
            task = self._dice.choice([tasks.work, tasks.awork])
            self._under_drawn_ids(many, lambda: list(task.map(many)))

    def _with_id(self, task: Any, kind: str, *args: Any) -> None:
        n = self._next(kind)

        def call() -> list[Any]:
            return [task.apply_async((n, *args), task_id=f"id-{n}")]

        if not self._send([n], call):
            self._repeat([n], call)

    def _under_drawn_ids(self, sent: list[str], call: Callable[[], list[Any]]) -> None:
        if not self._send(sent, call) and self._dice.random() < 0.5:
            self._repeat(sent, outbox.send_again)

    def _repeat(self, sent: list[str], call: Callable[[], list[Any]]) -> None:
        until = time.monotonic() + PATIENCE
        while not self._send(sent, call):
            if time.monotonic() > until:
                return
        for n, was_new in zip(sent, outbox.were_new, strict=True):
            self._note("again", n, "new" if was_new else "known")

    def _send(self, sent: list[str], call: Callable[[], list[Any]]) -> bool:
        began = time.monotonic()
        try:
            results = call()
        except HotQueueError as error:
            for n in sent:
                self._note("unknown", n, f"{time.monotonic() - began:.3f} {type(error).__name__}")
            return False
        for n, result in zip(sent, results, strict=True):
            self._note("ack", n, f"{result.id} {time.monotonic() - began:.3f}")
        return True


def main() -> int:
    """Run one producer, of several threads."""
    parser = argparse.ArgumentParser(prog="producer")
    parser.add_argument("path")
    parser.add_argument("mark")
    parser.add_argument("seed")
    parser.add_argument("seconds", type=float)
    parser.add_argument("slowness", type=float, help="how many times as long as others it waits between two calls")
    parser.add_argument("poisons", type=float, nargs="*")
    args = parser.parse_args()
    outbox.watch()
    threads = []
    for t in range(THREADS):
        poisons = args.poisons[t::THREADS]
        producer = Producer(args.path, f"{args.mark}{'abc'[t]}", f"{args.seed} {t}", PAUSE * args.slowness, poisons)
        threads.append(threading.Thread(target=producer.run, args=(args.seconds,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
