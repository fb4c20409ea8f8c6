"""How long things may take: timeouts of commands and connections, and what is left of a call's patience.

Imports no redis: whoever waits needs these figures.
"""

from __future__ import annotations

import threading
import time

PATIENCE = 5.0  # seconds a client's call repeats a safe operation before it gives up
SHORTEST, LONGEST = 0.1, 9e9  # patience; less than that and a busy server has no time to answer
COMMAND_TIMEOUT = 5.0  # seconds to wait for the reply of a command that does not block
CONNECT_TIMEOUT = 2.0  # seconds
LEAST_BLOCK = 0.002  # seconds to block for: 0 is for ever, and Redis 6.2 takes 0.001 for 0
BLOCK_MARGIN = 5.0  # seconds that the reply of a blocking command may come late


class Limits(threading.local):
    """How long a command of this thread may take just now."""

    deadline: float | None = None  # when the patience of this thread's call ends
    most: float | None = None  # seconds, where that is less than for any command

    def left(self) -> float:
        """Return the seconds that a command may take."""
        most = COMMAND_TIMEOUT if self.most is None else self.most
        return most if self.deadline is None else min(most, max(0.1, self.deadline - time.monotonic()))

    def reset(self) -> None:
        """Forget what was set in this thread, as in a child that was forked in the middle of a call."""
        self.deadline = self.most = None
