"""OrdersFromAfar: what somebody tells this program over the store: to end a task that runs here, to stop, to take nothing more.

A sweep brings them, in its thread; they are carried out by the supervisor's loop, as signals are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from hotqueue.tasks.broker.ordering import STOP, is_order, verb_for
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.replacement import Replacement

log = logging.getLogger("hotqueue.worker")


class OrdersFromAfar:
    """The orders of one supervisor.

    Args:
        program: its incarnation.
        later: has something done by its loop.
        terminate: ends the process that runs a task.
        stop: does what SIGTERM does; it is told why.
    """

    def __init__(
        self,
        state: Phase,
        pool: Processes,
        replacement: Replacement,
        program: str,
        later: Callable[[Callable[[], None]], None],
        terminate: Callable[[str], None],
        stop: Callable[[str], None],
    ) -> None:
        self._program, self._later = program, later
        self._terminate, self._on_stop = terminate, stop
        self._state, self._replacement, self._pool = state, replacement, pool

    def take(self, what: str) -> bool:
        """Take an order, or the id of a running task that is to be ended; return whether it is an order that is for us."""
        if not is_order(what):
            self._later(partial(self._terminate, what))
            return False
        verb = verb_for(what, self._program)
        if verb:
            self._later(self._stop if verb == STOP else self._quiet)
        return bool(verb)

    def _stop(self) -> None:
        if self._state.stop_at is None:  # twice would end what runs
            self._on_stop("told to stop by `hotqueue workers --stop`")

    def _quiet(self) -> None:
        if self._state.exit is None and self._replacement.wanted:
            log.info("told to be quiet: nothing more is taken, and what runs is finished; stop or restart this program then")
            self._replacement.wanted = 0
            for each in self._pool.ordinary:
                self._pool.stop(each)
