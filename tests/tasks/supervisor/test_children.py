"""A supervisor's orders to its children: which of the workers is meant, and of which queue, however many there are."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from hotqueue.tasks.supervisor.children import Child, Slot
from hotqueue.tasks.worker import child
from hotqueue.tasks.worker.permits_here import PermitsHere
from hotqueue.tasks.worker.running_table import new_table


@pytest.mark.parametrize(("worker", "queue"), [(0, 0), (1, 1), (255, 0), (256, 1), (300, 299), (65_535, 1)])
def test_the_worker_that_was_given_up_is_told_so_and_no_other(worker: int, queue: int) -> None:
    read, write = os.pipe()  # never closed: that is the order to die, and would end this process
    given_up: list[tuple[int, int, float]] = []
    heard = threading.Event()

    class Workers(dict[int, Any]):
        def __missing__(self, n: int) -> Any:
            return SimpleNamespace(was_given_up=lambda queue, asked: (given_up.append((n, queue, asked)), heard.set()))

    process: Any = SimpleNamespace(workers=Workers(), stop_fetching=lambda: None)
    threading.Thread(target=child._obey, args=(read, process, threading.Event(), None), daemon=True).start()
    supervised = Child(0, write, -1, [], [])
    queues: list[Any] = [object() for _ in range(queue + 2)]
    supervised.queues = queues
    permits = PermitsHere()
    supervised.slots = {n: Slot(f"w{n}", "", "s", permits, new_table(1)) for n in {worker, worker % 256, 7}}
    supervised.give_up(f"w{worker}", queues[queue], 12.5)
    assert heard.wait(10)
    assert given_up == [(worker, queue, 12.5)]
