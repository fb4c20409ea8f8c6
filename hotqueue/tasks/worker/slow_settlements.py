"""SlowSettlements: settles, from a thread of its own, what must not hold up the rest of a queue's outcomes.

Large ones, and what would make a large step of many, which take their time on the wire; and those of a step that was refused,
since one of them may be why. What the server refuses again and again, while it takes others, is ended as a failure that says so.
Until it is settled a task stays held, as ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hotqueue.errors import ConnectionFailed, HotQueueError, Refused, SerializationError
from hotqueue.sizes import LARGE, PAYLOAD_MAX, in_words
from hotqueue.tasks.broker.session import Stepped
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.execution.soft_limit import leave_ctrl_c_to_main
from hotqueue.tasks.rules.lifecycle import Action, Do, State
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.settlement import Settlement
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.holding import Holding

# Times that an outcome is refused, or breaks the connection, until the task is ended otherwise.
MOST_REFUSALS, MOST_BREAKS = 3, 5
ROOM = PAYLOAD_MAX  # bytes that may wait; beyond, nothing more is fetched
SHORTEST, LONGEST = 0.05, 1.0  # seconds between two tries
TOGETHER = 1 << 20  # bytes of what goes together
ENDS = frozenset({"S", "E", "D", "R", "N"})  # the settlements that carry something of the task's own

log = logging.getLogger("hotqueue.worker")


@dataclass(eq=False)
class _Load:
    settlement: Settlement
    try_at: float  # monotonic; the earliest has its turn
    refusals: int = 0
    is_replaced: bool = False
    goes_alone: bool = False

    @property
    def size(self) -> int:
        return self.settlement.size


class SlowSettlements:
    """What one worker has to settle apart at one queue.

    Args:
        holding: what the worker holds of it.
        moved: called when there is room again, or nothing left.

    Attributes:
        is_full: True while so much waits that nothing more should be fetched.
    """

    def __init__(self, holding: Holding, moved: Callable[[], None]) -> None:
        self._holding = holding
        self._moved = moved
        self._waiting: deque[_Load] = deque()
        self._bytes = 0
        self.is_full = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._failures = self._refusals = 0  # in a row
        self._rests_until = 0.0  # with all of them (monotonic)
        self._said: set[str] = set()

    def _weigh(self, more: int) -> None:
        """Note that so many bytes more wait; with the lock."""
        self._bytes += more
        self.is_full = self._bytes > ROOM or len(self._waiting) > BULK

    @property
    def is_empty(self) -> bool:
        """True once everything is settled."""
        return not self._waiting

    @property
    def is_stuck(self) -> bool:
        """True when all that waits was refused when it was tried last, and the server was there."""
        return self._refusals > len(self._waiting)

    def add(self, settlements: Sequence[Settlement]) -> None:
        """Take over settlements."""
        with self._changed:
            loads = [_Load(each, time.monotonic()) for each in settlements]
            self._waiting.extend(loads)
            self._changed.notify_all()
            self._weigh(sum(load.size for load in loads))
            if self._thread is None and loads:
                self._thread = threading.Thread(target=self._run, name="hotqueue-slow-settlements", daemon=True)
                self._thread.start()

    def drop(self) -> None:
        """Forget everything: others have these tasks."""
        with self._changed:
            self._waiting.clear()
            self._weigh(-self._bytes)
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until something was settled, or for so long."""
        with self._changed:
            if self._waiting:
                self._changed.wait(seconds)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        leave_ctrl_c_to_main()
        while (loads := self._next()) is not None:
            try:
                self._settle(loads)
            except Exception:  # a bug of ours: nobody else may wait for it
                log.exception("settling task %s failed", loads[0].settlement.id)
                self._failed(loads[0])

    def _next(self) -> list[_Load] | None:
        """Wait for the next one's turn, and take along what goes with it; None when there is none any more."""
        with self._changed:
            while self._waiting:
                load = min(self._waiting, key=lambda load: load.try_at)
                left = max(load.try_at, self._rests_until) - time.monotonic()
                if left <= 0:
                    return [load] if load.goes_alone else self._together()
                self._changed.wait(left)
            self._thread = None
            return None

    def _together(self) -> list[_Load]:
        """Return what is small enough to be settled in one trip; with the lock."""
        found: list[_Load] = []
        size = 0
        for load in self._waiting:
            if load.goes_alone or load.try_at > time.monotonic():
                continue
            size += load.size
            if found and size > TOGETHER:
                break
            found.append(load)
        return found

    def _settle(self, loads: list[_Load]) -> None:
        """Settle some; if that fails, find out whether that was because of what one of them is."""
        try:
            stepped = self._holding.session.settle([load.settlement for load in loads])
        except HotQueueError as error:
            self._holding.doubt([load.settlement for load in loads])
            if len(loads) == 1:
                self._not_settled(loads[0], error)
            for load in loads:
                load.goes_alone = True
        else:
            self._done(loads, stepped)

    def _not_settled(self, load: _Load, error: HotQueueError) -> None:
        if _may_be_its_own_fault(load, error) and self._answers():
            self._note_refused(load, error)
            return
        if _is_refusal(error):
            self._refusals += 1
            self._say(error)
        else:
            self._refusals = 0
        self._failed(load)

    def _answers(self) -> bool:
        """Tell whether the server takes a step without what was refused."""
        try:
            self._holding.session.settle(())
        except HotQueueError:
            return False
        return True

    def _say(self, error: HotQueueError) -> None:
        if str(error) not in self._said and str(error) != self._holding.refusal:
            log.error("queue %s: %s; trying again until it is put right", self._holding.name, error)
        self._said.add(str(error))

    def _note_refused(self, load: _Load, error: HotQueueError) -> None:
        """Note that one was refused for what it is: it alone is tried later, and in the end is settled otherwise."""
        load.refusals += 1
        load.try_at = time.monotonic() + _pause(load.refusals)
        if load.refusals < (MOST_BREAKS if isinstance(error, ConnectionFailed) else MOST_REFUSALS):
            return
        other = None if load.is_replaced else self._instead(load, error)
        with self._changed:
            if other is not None and load in self._waiting:
                before = load.size
                load.settlement, load.is_replaced, load.refusals = other, True, 0
                self._weigh(load.size - before)

    def _instead(self, load: _Load, error: HotQueueError) -> Settlement | None:
        """Return how a task ends whose own end cannot be settled."""
        delivery = self._holding.in_hand.get(load.settlement.id)
        if delivery is None:
            return None
        ready = self._holding.prepare(delivery, "", None)
        what = "its result" if load.settlement.code == "S" else "how it ended"
        failure = SerializationError(
            f"{ready.name} ran to its end, but {what} ({in_words(load.size)}) cannot be stored: {error}"
            + ("" if "store it elsewhere" in str(error) else "; store what is large elsewhere and return where")
        )
        extra = task_log.about(delivery.id, ready.name, error=str(failure))
        log.error("%s[%s]: %s; kept in the dead list", ready.name, extra["task_id"], failure, extra=extra)
        decided = Action(Do.BURY, State.FAILURE, error=failure)
        holding = self._holding
        other = settlement.of(decided, delivery, ready.history, ready.options, holding.now(), holding.result_signer)
        return settlement.apart(other)[1]

    def _failed(self, load: _Load) -> None:
        """Let the others have their turn, after a pause."""
        with self._changed:
            load.try_at = time.monotonic()
            self._failures += 1
            self._rests_until = load.try_at + _pause(self._failures)
            self._changed.notify_all()

    def _done(self, loads: list[_Load], stepped: Stepped) -> None:
        settlements = [load.settlement for load in loads]
        if stepped.gone:
            self._holding.note_gone(stepped.gone, settlements)
        self._holding.settled(settlements)
        with self._changed:
            was_full = self.is_full
            for load in loads:
                if load in self._waiting:
                    self._waiting.remove(load)
                    self._weigh(-load.size)
            self._failures = self._refusals = 0
            self._rests_until = 0.0
            self._said.clear()
            self._changed.notify_all()
        if was_full or self.is_empty:
            self._moved()


def _pause(times: int) -> float:
    return min(LONGEST, SHORTEST * 2.0 ** min(times, 10))


def _is_refusal(error: HotQueueError) -> bool:
    return not isinstance(error, ConnectionFailed) or not error.retry


def _may_be_its_own_fault(load: _Load, error: HotQueueError) -> bool:
    """Tell whether a refusal may be because of the settlement: by its words, or, of a large one, by a connection that broke."""
    if load.settlement.code not in ENDS:
        return False
    if isinstance(error, ConnectionFailed):
        return error.retry and load.size >= LARGE
    return isinstance(error, SerializationError | Refused)
