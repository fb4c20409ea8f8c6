"""What the parts of a supervisor share: how far it has come, and whether it is to end. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.supervisor.upkeep import Upkeep


@dataclass
class Phase:
    """How far a supervisor has come.

    Attributes:
        on_failed: called with the text of why no work can begin.
        upkeep: of the queues; None until the first process has named them, and their servers were checked.
        exit: the code with which to exit once the last child has gone; None: nobody has decided to.
        stop_at: when what still runs is ended (monotonic); None: nobody has asked to stop.
    """

    on_failed: Callable[[str], None]
    upkeep: Upkeep | None = None
    exit: int | None = None
    stop_at: float | None = None

    def cannot_begin(self, text: str, code: int) -> None:
        """Say why no work can begin, and have the supervisor exit."""
        self.on_failed(text)
        self.exit = code

    def write_later(self, broker: Broker, write: Callable[[], None]) -> None:
        """Have something written at a queue, now or when its server is back."""
        if self.upkeep is not None:  # without, no child of ours has worked
            self.upkeep.write_later(broker, write)
