"""The worker of `async def` tasks: keeps many going on the process's event loop, and fetches for free slots only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.execution.timelimit import leave_ctrl_c_to_main
from hotqueue.tasks.rules.lifecycle import Outcome
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.worker.permits import Permits
from hotqueue.tasks.worker.running import Running
from hotqueue.tasks.worker.subscription import Intake, Ready
from hotqueue.tasks.worker.worker import Worker

if TYPE_CHECKING:
    from hotqueue.tasks.worker.process import Process


TELLS_AFTER = 0.05  # seconds of visits to queues after which what ended meanwhile is told before the next one


class AsyncWorker(Worker):
    """Keeps many `async def` tasks going on the process's event loop."""

    kind = "a"

    def __init__(self, process: Process, registries: list[Registry], permits: Permits, running: Running) -> None:
        super().__init__(process, registries, permits, running)
        self.slots = process.async_concurrency
        self._ended: deque[tuple[Intake, Ready, Outcome, int, float]] = deque()
        self._active = 0
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
        if self.stopping:
            return 0
        # What a server that does not answer may bring holds half of the free slots at most: the others' tasks need some.
        free, held = self.slots - self._active, sum(intake.ahead.room for intake in self.intakes if intake.ahead is not None)
        left = free - min(held, free // 2)
        return self.process.room(left) if left > 0 else 0

    def _turn_around(self, rung: bool) -> bool:
        """Tell what ended; fetch where there is room and reason to, one queue after the other, from the one whose turn it is."""
        rung, self._was_full = rung or self._was_full, any(intake.courier.is_full for intake in self.intakes)
        came = any([self._ask(intake, 0) for intake in self.intakes if intake.ahead is not None])  # noqa: C419  (every one)
        if len(self.intakes) > 1 and any(intake.left for intake in self.intakes):
            self.ears.listen(self.intakes)  # one of them keeps us from sleeping
        order, until = self._to_be_visited(rung), time.monotonic() + TELLS_AFTER
        while order and (room := self._room()):
            shares = dict(zip(order, self.turns.shares(room, order), strict=True))
            for at in [at for at in order if shares[at]]:
                if self._ended and time.monotonic() > until:  # the other queues have their turn once this is told
                    self._collect()
                    came, order = True, []
                    break
                before = self._room()
                came = self._visit(self.intakes[at], shares[at], rung) or came
                if before - self._room() < shares[at]:  # it has no more: what it leaves is for the others
                    order.remove(at)
        for intake in self.intakes:
            if intake.untold:
                self.tell(intake)
                came = self._start(intake) or came
        return came

    def _to_be_visited(self, rung: bool) -> list[int]:
        """Return the numbers of the queues to visit, in turn: of those that are asked for no reason, one, as sync workers do."""
        order, is_asked = [], False
        for at in self.turns.order():
            intake = self.intakes[at]
            if intake.untold or intake.may_unpark or self._has_reason(intake, rung):
                order.append(at)
            elif len(self.intakes) > 1 and not is_asked and self.is_stale(intake):
                is_asked = True
                order.append(at)
        return order

    def _has_reason(self, intake: Intake, rung: bool) -> bool:
        return rung if len(self.intakes) == 1 else self.has_reason_to_ask(intake)

    def _may_have_tasks(self, intake: Intake, rung: bool) -> bool:
        return rung if len(self.intakes) == 1 else self.is_worth_asking(intake)

    def _visit(self, intake: Intake, room: int, rung: bool) -> bool:
        """Tell what ended at one queue, and fetch up to `room` tasks, where there is reason to; tell whether anything came."""
        if intake.courier.is_full:
            return False
        came_back = intake.may_unpark and self.unpark(intake, room)
        if not (intake.untold or intake.ahead or came_back or self._may_have_tasks(intake, rung)):
            return False
        return self._ask(intake, room)

    def _ask(self, intake: Intake, room: int) -> bool:
        """Make a step, or see whether the one under way has been answered; tell whether to look again at once."""
        stepped = self.step(intake, (room + 1) // 2 if self.is_spread else room)
        is_more_to_tell = stepped is not None and bool(intake.untold)
        return self._start(intake) or (room > 0 and intake.may_unpark) or is_more_to_tell

    def _start(self, intake: Intake) -> bool:
        """Start all that was fetched, together."""
        batch: list[tuple[Any, Callable[[Outcome], None]]] = []
        is_enough = False
        while intake.unstarted and self.permits.take(intake.unstarted[0].number, intake.index):
            if self._active >= self.slots or not self.process.may_begin():  # it came late, when the slots had gone to others
                is_enough = True
                break
            ready = intake.look(intake.unstarted.popleft(), self.presence.id, intake.report)
            if ready.call is None:
                assert ready.outcome is not None
                self.conclude(intake, ready, ready.outcome, 0.0)
                continue
            row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit, ready.fate)
            self._active += 1
            intake.running[id(ready.call)] = ready.call
            batch.append((ready.call, self._when_done(intake, ready, row)))
        if is_enough:
            self._give_back(intake)
        for delivery in intake.unstarted:  # taken back
            intake.in_hand.pop(delivery.id, None)
        intake.unstarted.clear()
        if batch:
            self.process.event_loop().start(batch)
        if is_enough:
            self.tell(intake)
            self.ring(intake)
        return bool(batch)

    def _give_back(self, intake: Intake) -> None:
        """Line up what this process is not to start: the first, whose permit we took, and those whose permits are left."""
        ours = 1 + self.permits.withdraw_all(intake.index)
        for delivery in list(intake.unstarted)[:ours]:
            intake.untold.append(settlement.put_back(delivery))

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
