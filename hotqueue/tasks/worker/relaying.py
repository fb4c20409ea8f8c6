"""Relaying: what the tasks of a worker process have posted for other queues is brought there at once, beside its tasks.

Supervisors of the queue do so as well, once a second: they go on where this one failed, or died.
"""

from __future__ import annotations

import threading

from hotqueue.errors import HotQueueError
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.relay import relay
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.worker import failpoints

MOST = 1000  # trips to one queue, then others have their turn
ENDS = 0.2  # seconds for which the thread's end is waited for


class Relaying:
    """Brings what queues have posted, from a thread of its own that sleeps while there is nothing.

    Args:
        is_burst: bring it before the next step, for what comes of it is to be done as well.
    """

    def __init__(self, is_burst: bool) -> None:
        self._is_burst = is_burst
        self._brokers: dict[Broker, None] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._has_ended = False

    def bring(self, broker: Broker) -> None:
        """Have what is in a queue's outbox brought; for any thread."""
        if self._is_burst:
            _bring(broker)
            return
        with self._lock:
            self._brokers[broker] = None
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hotqueue-relay", daemon=True)
                self._thread.start()
        self._wanted.set()

    def wait(self, seconds: float) -> None:
        """Wait so long at most until all has been brought."""
        self._idle.wait(seconds)

    def end(self) -> None:
        """End the thread: the workers are gone. One that waits for a server goes when it has its answer."""
        self._has_ended = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(ENDS)

    def _run(self) -> None:
        leave_ctrl_c_to_main()
        while not self._has_ended:
            self._wanted.wait()
            self._wanted.clear()
            with self._lock:
                brokers, self._brokers = list(self._brokers), {}
            for broker in brokers:
                _bring(broker)
            with self._lock:
                if not self._brokers:
                    self._idle.set()


def _bring(broker: Broker) -> None:
    if failpoints.IS_ARMED:
        failpoints.at("before_relay")
    try:
        relay(broker, _passed, MOST)
    except HotQueueError:
        return  # its supervisors say what is wrong, and try again


def _passed(step: str) -> None:
    if failpoints.IS_ARMED:
        failpoints.at(f"relay_{step}")
