"""The worker of `async def` tasks: keeps many going on the process's event loop, and fetches for free slots only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotqueue.tasks.intake import Intake, Ready
from hotqueue.tasks.lifecycle import Outcome
from hotqueue.tasks.limits import leave_ctrl_c_to_main
from hotqueue.tasks.permits import Permits
from hotqueue.tasks.registry import Registry
from hotqueue.tasks.running import Running
from hotqueue.tasks.worker import Worker

if TYPE_CHECKING:
    from hotqueue.tasks.process import Process


class AsyncWorker(Worker):
    """Keeps many `async def` tasks going on the process's event loop."""

    kind = "a"

    def __init__(self, process: Process, registries: list[Registry], permits: Permits, running: Running) -> None:
        super().__init__(process, registries, permits, running)
        self.slots = process.async_concurrency
        self._ended: deque[tuple[Intake, Ready, Outcome, int, float]] = deque()
        self._active = 0
        self._turn = 0
        self._was_full = False  # a queue had no room for more outcomes: a ring may have been in vain

    def _loop(self) -> None:
        leave_ctrl_c_to_main()
        rung = True
        while not (self.stopping and self._active == 0):
            self.running.progress()
            self._collect()
            came = self._turn_around(rung)
            if came or self._ended:
                rung = came
                continue
            if self._active == 0 and self._may_end():
                return
            rung = self._rest()

    def _may_end(self) -> bool:
        """Tell whether a burst is over; that is for the sync workers to say, whose tasks may send more for us."""
        return self.process.is_burst and self.process.is_idle and self.process.has_left("s")

    def _rest(self) -> bool:
        """Sleep until a bell, an ended task, or the net under both; give a ring back that we have no room for."""
        room = self._room()
        self.bell.listen_to(self.kind)
        if room == 0 or self.stopping:
            self.process.gate.leave_if(self, self._active == 0)
            return self._sleep_without_room()
        wait = min(self.next_due(), 0.05) if self.process.is_burst else self.next_due()
        began = time.monotonic()
        return self.sleep(wait) or time.monotonic() - began >= wait

    def _sleep_without_room(self) -> bool:
        under_way = self._places.under_way() if self._places is not None else ()
        self.bell.wait_woken(0.5, under_way)
        while self.bell.rung:
            self.ring(self.intakes[self.bell.rung.pop()])
        self.hear()
        return False

    def _room(self) -> int:
        if self.stopping or self.process.gate.is_wanted_by_another(self):
            return 0
        return self.slots - self._active - sum(intake.ahead.room for intake in self.intakes if intake.ahead is not None)

    def _turn_around(self, rung: bool) -> bool:
        """Tell what ended; fetch where there is room and reason to."""
        came = False
        rung, self._was_full = rung or self._was_full, False
        for offset in range(len(self.intakes)):
            intake = self.intakes[(self._turn + offset) % len(self.intakes)]
            room = 0 if intake.courier.is_full else self._room()
            self._was_full = self._was_full or intake.courier.is_full
            if room and not self.process.gate.enter(self):
                room = 0
            came_back = room > 0 and intake.may_unpark and self.unpark(intake, room)
            is_asked = came_back or (rung if len(self.intakes) == 1 else self.is_worth_asking(intake))
            if not (intake.untold or intake.ahead) and not (is_asked and room):
                continue
            if room or intake.ahead is not None:
                stepped = self.step(intake, room)
                came = came or (stepped is not None and bool(intake.untold))
            else:
                self.tell(intake)
            came = self._start(intake) or (room > 0 and intake.may_unpark) or came
        self._turn += 1
        if self._active == 0:
            self.process.gate.leave(self)
        return came

    def _start(self, intake: Intake) -> bool:
        """Start all that was fetched, together."""
        batch: list[tuple[Any, Callable[[Outcome], None]]] = []
        while intake.unstarted and self.permits.take(intake.unstarted[0].number, intake.index):
            ready = intake.look(intake.unstarted.popleft(), self.presence.id, intake.report)
            if ready.call is None:
                assert ready.outcome is not None
                self.conclude(intake, ready, ready.outcome, 0.0)
                continue
            row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit, ready.is_last)
            self._active += 1
            intake.running[id(ready.call)] = ready.call
            batch.append((ready.call, self._when_done(intake, ready, row)))
        for delivery in intake.unstarted:  # taken back
            intake.in_hand.pop(delivery.id, None)
        intake.unstarted.clear()
        if batch:
            self.process.event_loop().start(batch)
        return bool(batch)

    def _when_done(self, intake: Intake, ready: Ready, row: int) -> Callable[[Outcome], None]:
        began = time.monotonic()

        def done(outcome: Outcome) -> None:
            self.running.end(row)
            first = not self._ended
            self._ended.append((intake, ready, outcome, row, time.monotonic() - began))
            if first:
                self.bell.wake()

        return done

    def _collect(self) -> None:
        while self._ended:
            intake, ready, outcome, _, seconds = self._ended.popleft()
            intake.running.pop(id(ready.call), None)
            self._active -= 1
            if intake in self.intakes and intake.in_hand.get(ready.delivery.id) is ready.delivery:
                self.conclude(intake, ready, outcome, seconds)
        self.process.has_enough()

    def give_up_running_of(self, queue: int) -> None:
        """Cancel what runs of a queue, with LeaseLost."""
        lost = list(self.intakes[queue].running.values())
        if lost:
            self.process.event_loop().give_up(lost)
