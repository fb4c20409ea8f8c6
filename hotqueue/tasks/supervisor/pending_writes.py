"""PendingWrites: writes of one queue that have to be done, in order, now or when its server is back.

One thread flushes them at a time.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from hotqueue.errors import ConnectionFailed, HotQueueError

TRY_AGAIN = 0.1  # seconds between two tries at a write that Redis did not take
AFTER_A_BUG = 5.0  # the same, of one that failed in a way that nobody has thought of

log = logging.getLogger("hotqueue.worker")


class PendingWrites:
    """The pending writes of one queue; each may be repeated.

    Args:
        name: whose they are, for the log.

    Attributes:
        wrote_at: when Redis took the last one (monotonic).
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._writes: deque[Callable[[], None]] = deque()
        self._said = ""
        self._again_at = 0.0
        self._lock = threading.Lock()
        self.wrote_at = -math.inf

    def add(self, write: Callable[[], None]) -> None:
        """Keep a write for `flush`."""
        self._writes.append(write)

    @property
    def are_left(self) -> bool:
        """True while something is to be written."""
        return bool(self._writes)

    @property
    def are_due(self) -> bool:
        """True when there is something to write, and Redis has not refused it just now."""
        return bool(self._writes) and time.monotonic() >= self._again_at

    def flush(self, until: float = math.inf) -> None:
        """Do the writes, as far as Redis lets us, and there is time (monotonic).

        Raises:
            ConnectionFailed: Redis is away.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            while self._writes and time.monotonic() < until:
                self._writes[0]()
                self._writes.popleft()
                self.wrote_at = time.monotonic()
        except ConnectionFailed:
            self._again_at = time.monotonic() + TRY_AGAIN
            raise
        except HotQueueError as error:
            self._again_at = time.monotonic() + TRY_AGAIN
            self._say(str(error))
        except Exception as error:  # what stands behind it must not wait for a bug of ours
            self._again_at = time.monotonic() + AFTER_A_BUG
            self._writes.rotate(-1)
            self._say(f"queue {self._name}: what a worker left could not be put in order: {error!r}", error)
        finally:
            self._lock.release()

    def _say(self, text: str, error: BaseException | None = None) -> None:
        if text != self._said:
            self._said = text
            log.error("%s; trying again until it can be done", text, exc_info=error)
