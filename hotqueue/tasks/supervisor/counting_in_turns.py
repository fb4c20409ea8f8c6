"""Counting in turns: what was told of several queues is folded into their statistics a portion each, as far as a beat has time.

After a pause one queue may have a lot of it: no other waits for that, and what else upkeep has to do comes first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from hotqueue.tasks.supervisor.queue_upkeep import QueueUpkeep

COUNTED_FOR = 0.5  # seconds of a beat


class CountingInTurns:
    """Whose turn it is to be counted."""

    def __init__(self) -> None:
        self._late: list[QueueUpkeep] = []

    def count(self, queues: Sequence[QueueUpkeep], seconds: float = COUNTED_FOR) -> None:
        """Count what waits in queues: a portion of each in turn, of those first that there was no time for; one at least.

        Raises:
            ConnectionFailed: their server is away, for now.
        """
        late = [each for each in self._late if each in queues]
        waiting = deque([*late, *(each for each in queues if each not in late)])
        until = time.monotonic() + seconds
        while waiting:
            each = waiting.popleft()
            with each.by_itself():
                if each.statistics.fold():
                    waiting.append(each)
                else:
                    each.is_well()
            if time.monotonic() > until:
                break
        self._late = list(waiting)
