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
    """How long a command of this thread may take just now.

    Patience begins with the first wait: importing redis or starting the embedded server before it is no answer that is late.
    """

    patience: float | None = None  # seconds of this thread's call, where they limit its commands
    deadline: float | None = None  # when they end; known from the first wait on
    most: float | None = None  # seconds, where that is less than for any command

    def left(self) -> float:
        """Return the seconds that a command may take; it is about to wait."""
        most = COMMAND_TIMEOUT if self.most is None else self.most
        if self.patience is None:
            return most
        if self.deadline is None:
            self.deadline = time.monotonic() + self.patience
        return min(most, max(SHORTEST, self.deadline - time.monotonic()))

    def set_patience(self, seconds: float | None) -> None:
        """Have the call that this thread makes now, or tries again, wait no longer than so many seconds in all; None: as any."""
        self.patience, self.deadline = seconds, None

    def reset(self) -> None:
        """Forget what was set in this thread, as in a child that was forked in the middle of a call."""
        self.patience = self.deadline = self.most = None
