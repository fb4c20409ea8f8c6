"""One worker: step → execute → decide → step, over the queues of its process. A thread of a worker process runs one.

`SyncWorker` runs tasks one at a time where it stands; `AsyncWorker` keeps up to a hundred going on the process's event loop.
Neither pops a task and hopes: what is fetched is held in Redis until its outcome is told.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hotqueue.errors import ConnectionFailed, QueueFull
from hotqueue.presence import Presence
from hotqueue.tasks import actions, faults, payload
from hotqueue.tasks.bell import LONGEST, Bell
from hotqueue.tasks.desk import Stepped
from hotqueue.tasks.executor import execute
from hotqueue.tasks.intake import Intake, Ready
from hotqueue.tasks.lifecycle import Action, Do, Ended, Outcome, decide
from hotqueue.tasks.pace import Pace
from hotqueue.tasks.permits import Permits, Running
from hotqueue.tasks.registry import Registry

if TYPE_CHECKING:
    from hotqueue.tasks.process import Process

log = logging.getLogger("hotqueue.worker")

LOOK_AROUND = 0.010  # seconds after which a busy worker looks at its other queues
TELL_AFTER = 0.020  # seconds after which results are told though the batch is not done


class Worker:
    """What both kinds share: registering, stepping, recovering, being given up, leaving.

    Args:
        process: what the workers of this process share.
        permits: shared with whoever may take tasks back.
    """

    kind = ""

    def __init__(self, process: Process, registries: list[Registry], permits: Permits, rows: int) -> None:
        self.process = process
        self.permits = permits
        self.bell = Bell([registry.broker for registry in registries], self.kind)
        self._rows = rows
        self._registries = registries
        self._outage = False
        self._new_incarnation()

    def _new_incarnation(self) -> None:
        self.presence = Presence(Running.size(self._rows))
        self.running = Running(self.presence.state)
        self.intakes = [Intake(registry, self.presence.id, self.kind) for registry in self._registries]

    @property
    def stopping(self) -> bool:
        """True once nothing more is to be fetched."""
        return self.process.stop.is_set()

    @property
    def is_idle(self) -> bool:
        """True while nothing is in hand."""
        return not any(intake.in_hand for intake in self.intakes)

    # --- life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until told to stop, or, in a burst, until nothing is left."""
        self._register()
        try:
            self._loop()
        finally:
            self._leave()

    def _loop(self) -> None:
        raise NotImplementedError

    def _register(self) -> None:
        told = {**self.process.told, "folder": self.presence.folder, "kind": self.kind}
        for intake in self.intakes:
            store = intake.registry.store
            store.repeat(
                lambda intake=intake: intake.desk.register(self.process.lease_ms, told),  # type: ignore[misc]
                patience=None,
                stop=self.process.stop,
            )
        self.process.announce(self)

    def _leave(self) -> None:
        """Tell what is done, put back what was not started, strike ourselves off."""
        self.permits.drain()
        for intake in self.intakes:
            intake.untold += [actions.put_back(delivery) for delivery in intake.unstarted]
            intake.unstarted.clear()
            try:
                self.tell(intake)
                intake.registry.broker.reap(self.presence.id, known_dead=True)
            except ConnectionFailed as error:
                log.warning("could not take leave of queue %s: %s; its tasks go back when the lease ends", intake.name, error)
        self.presence.close()
        self.bell.close()

    # --- stepping ------------------------------------------------------------------------------------------------

    def step(self, intake: Intake, room: int, alone: bool = False) -> Stepped | None:
        """Tell an intake's outcomes and fetch up to `room` tasks into it; None when that failed and was recovered from."""
        sent = list(intake.untold)
        if faults.IS_ARMED and sent:
            faults.at("before_tell")
        try:
            stepped = intake.desk.step(room, sent, alone)
        except QueueFull as error:  # an empty fetch is all that a full server can refuse
            self._note_outage(error)
            return None
        except ConnectionFailed as error:
            self._recover(intake, error)
            return None
        self._outage = False
        if stepped.gone:
            self._note_gone(intake, stepped.gone)
        intake.told(sent)
        if not stepped.alive:
            self._given_up(intake)
            return None
        intake.took(stepped)
        if faults.IS_ARMED and sent:
            faults.at("after_tell")
        if faults.IS_ARMED and stepped.deliveries:
            faults.at("after_fetch")
        if stepped.deliveries:
            self.permits.add(intake.desk.number, len(stepped.deliveries))
        return stepped

    def tell(self, intake: Intake) -> None:
        """Tell what is done, and fetch nothing."""
        while intake.untold:
            self.step(intake, 0)

    def _recover(self, intake: Intake, error: ConnectionFailed) -> None:
        """After any error: find out what we hold, until that is known, or nobody wants to know any more."""
        self._note_outage(error)
        found = intake.registry.store.repeat(
            lambda: intake.desk.recover(list(intake.in_hand)), patience=None, stop=self.process.hurry
        )
        log.info("queue %s answers again", intake.name)
        self._outage = False
        if found is None:
            self._given_up(intake)
        elif found:
            intake.accept(found)
            self.permits.add(intake.desk.number, len(found))

    def _note_outage(self, error: Exception) -> None:
        if not self._outage:
            log.warning("%s; trying again until it answers", error)
        self._outage = True

    def _note_gone(self, intake: Intake, gone: list[str]) -> None:
        for task_id in gone:
            delivery = intake.in_hand.get(task_id)
            if delivery is not None:
                log.warning("task %s was no longer ours when it ended; its outcome here does not count", task_id)

    def _given_up(self, intake: Intake) -> None:
        """Others have our tasks: forget them, take a new name, go on."""
        log.warning(
            "worker %s was given up at queue %s (its lease ran out, or its keys are gone); it goes on", *self._who(intake)
        )
        self.give_up_running()
        self.permits.drain()
        old = self.presence
        for other in self.intakes:
            if other is not intake and other.untold:
                self.tell(other)
            try:
                other.registry.broker.reap(old.id, known_dead=True)
            except ConnectionFailed:
                pass  # its lease runs out
            other.lost()
        self._new_incarnation()
        self._register()
        old.close()

    def _who(self, intake: Intake) -> tuple[str, str]:
        return self.presence.id, intake.name

    def give_up_running(self) -> None:
        """Let running tasks know that they are lost."""

    def wake(self) -> None:
        """End a sleep."""
        self.bell.wake()

    # --- outcomes ------------------------------------------------------------------------------------------------

    def conclude(self, intake: Intake, ready: Ready, outcome: Outcome, seconds: float) -> None:
        """Decide what becomes of a task, and line that up to be told."""
        signer = intake.registry.signer
        if outcome.ended is Ended.RETURNED:
            done = actions.succeeded(ready.delivery, outcome.payload, ready.attempts.retries, ready.options, intake.now(), signer)
            intake.untold.append(done)
            self.process.count("succeeded")
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s[%s] succeeded in %.3f s", ready.name, ready.delivery.id, seconds)
            return
        now = datetime.now(UTC) if outcome.eta else None
        action = decide(outcome, ready.options.retry_policy, ready.attempts, random=random.random, now=now)
        intake.untold.append(actions.wire(action, ready.delivery, ready.attempts, ready.options, intake.now(), signer))
        self.process.count(action.do.name.lower())
        _log_action(action, ready, seconds)

    def unpark(self, intake: Intake) -> None:
        """Take parked tasks back that this worker can run."""
        try:
            for need in intake.satisfiable_needs():
                moved = intake.registry.broker.unpark(need)
                log.info("queue %s: %d parked tasks go back, they waited for %s", intake.name, moved, need)
        except ConnectionFailed as error:
            self._note_outage(error)

    def report(self, _queue: str, task_id: str, progress: dict[str, Any]) -> None:
        """Publish a task's progress."""
        for intake in self.intakes:
            if intake.name == _queue:
                intake.registry.broker.report(task_id, progress)

    # --- sleeping ------------------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """Return seconds until the next scheduled task of our queues, at most LONGEST; promotes what is due."""
        wait = LONGEST
        for intake in self.intakes:
            if intake.due == 0:
                try:
                    intake.due = intake.registry.broker.promote()
                except ConnectionFailed as error:
                    self._note_outage(error)
                return 0.0
            if intake.due > 0:
                wait = min(wait, intake.due / 1000)
        return wait

    def sleep(self, seconds: float) -> bool:
        """Wait for a bell; tell whether one rang. A broken connection is waited out."""
        if seconds <= 0:
            return True
        try:
            return self.bell.wait(seconds)
        except ConnectionFailed as error:
            self._note_outage(error)
            self.process.stop.wait(0.1)
            return True


class SyncWorker(Worker):
    """Runs tasks one at a time, in the thread that calls `run`."""

    kind = "s"

    def __init__(self, process: Process, registries: list[Registry], permits: Permits) -> None:
        super().__init__(process, registries, permits, rows=1)
        self._pace = Pace()
        self._turn = 0
        self._alone_waits: list[Intake] = []

    def _loop(self) -> None:
        while not self.stopping:
            if self.turn():
                continue
            wait = self.next_due()
            if self.process.is_burst and wait and not self._anything_due() and self.process.is_idle:
                return
            self.sleep(min(wait, 0.05) if self.process.is_burst and not self.process.is_idle else wait)

    def _anything_due(self) -> bool:
        return any(0 <= intake.due <= 1000 for intake in self.intakes)

    def turn(self) -> bool:
        """Look at each queue once, beginning where the last turn ended; run what comes. True if anything came."""
        with self.process.gate.shared(self) as is_open:
            if not is_open:
                return False
            came = self._look_around()
        if self._alone_waits:
            came = self._run_alone() or came
        return came

    def _look_around(self) -> bool:
        self._alone_waits = []
        count = len(self.intakes)
        for offset in range(count):
            at = (self._turn + offset) % count
            intake = self.intakes[at]
            stepped = self.step(intake, self._pace.room(), alone=self.process.gate.is_private)
            if stepped is not None:
                self._notice(intake, stepped)
            if intake.unstarted:
                self._work(intake)
                if self._others_are_due(intake):
                    self.tell(intake)
                    self._turn = at + 1
                else:
                    self._turn = at
                return True
        return False

    def _others_are_due(self, intake: Intake) -> bool:
        now = time.monotonic()
        return any(other is not intake and now - other.looked_at > LOOK_AROUND for other in self.intakes)

    def _notice(self, intake: Intake, stepped: Stepped) -> None:
        if stepped.others:
            self.process.start_async()
        if stepped.alone and not self.process.gate.is_private:
            self._alone_waits.append(intake)
        if stepped.needs:
            self.unpark(intake)

    def _run_alone(self) -> bool:
        """Run one task with nothing else in the process, waiting until the rest has run empty."""
        intake = self._alone_waits.pop(0)
        self.tell(intake)
        with self.process.gate.exclusive(self) as is_mine:
            if not is_mine or self.step(intake, 1, alone=True) is None or not intake.unstarted:
                return False
            self._work(intake)
            self.tell(intake)
        return True

    def _work(self, intake: Intake) -> None:
        """Run what is in line, as far as permits go."""
        began = time.monotonic()
        take, line = self.permits.take, intake.unstarted
        while line:
            delivery = line.popleft()
            if self.process.stop.is_set() or not take():
                # The rest went back to the queue, or goes back in a moment: not ours to start.
                line.appendleft(delivery)
                self._drop(intake)
                return
            ready = intake.look(delivery, self.presence.id, self.report)
            before = time.monotonic()
            outcome = self._execute(ready)
            after = time.monotonic()
            if faults.IS_ARMED:
                faults.at("after_run")
            self._pace.ran(after - before)
            self.conclude(intake, ready, outcome, after - before)
            if self.process.has_enough():
                continue
            if line and after - began > TELL_AFTER:
                began = after
                self.tell(intake)

    def _drop(self, intake: Intake) -> None:
        if self.process.stop.is_set():
            return  # _leave puts them back
        for delivery in intake.unstarted:
            intake.in_hand.pop(delivery.id, None)
        intake.unstarted.clear()

    def _execute(self, ready: Ready) -> Outcome:
        call = ready.call
        if call is None:
            assert ready.outcome is not None
            return ready.outcome
        row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit)
        if faults.IS_ARMED:
            faults.at("before_start")
        try:
            return self.process.event_loop().run(call) if call.is_async else execute(call)
        finally:
            self.running.end(row)


class AsyncWorker(Worker):
    """Keeps many `async def` tasks going on the process's event loop."""

    kind = "a"

    def __init__(self, process: Process, registries: list[Registry], permits: Permits) -> None:
        self.slots = process.async_concurrency
        super().__init__(process, registries, permits, rows=self.slots)
        self._ended: deque[tuple[Intake, Ready, Outcome, int, float]] = deque()
        self._active = 0
        self._turn = 0

    def _loop(self) -> None:
        rung = True
        while not (self.stopping and self._active == 0):
            self._collect()
            came = self._turn_around(rung)
            if came or self._ended:
                rung = came
                continue
            if self._active == 0 and self._may_end():
                return
            rung = self._rest()

    def _may_end(self) -> bool:
        return self.process.is_burst and self.process.is_idle and not any(0 <= i.due <= 1000 for i in self.intakes)

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
        if self.bell.wait_woken(0.5):
            for intake in self.intakes:
                intake.registry.store.repeat(lambda intake=intake: intake.registry.broker.ring(self.kind))  # type: ignore[misc]
        return False

    def _room(self) -> int:
        if self.stopping or self.process.gate.is_wanted_by_another(self):
            return 0
        return self.slots - self._active

    def _turn_around(self, rung: bool) -> bool:
        """Tell what ended; fetch where there is room and reason to."""
        came = False
        for offset in range(len(self.intakes)):
            intake = self.intakes[(self._turn + offset) % len(self.intakes)]
            room = self._room()
            if room and not self.process.gate.enter(self):
                room = 0
            if not intake.untold and not (rung and room):
                continue
            stepped = self.step(intake, room)
            if stepped is not None and stepped.needs:
                self.unpark(intake)
            came = self._start(intake) or came
        self._turn += 1
        if self._active == 0:
            self.process.gate.leave(self)
        return came

    def _start(self, intake: Intake) -> bool:
        """Start all that was fetched, together."""
        batch: list[tuple[Any, Callable[[Outcome], None]]] = []
        while intake.unstarted and self.permits.take():
            ready = intake.look(intake.unstarted.popleft(), self.presence.id, self.report)
            if ready.call is None:
                assert ready.outcome is not None
                self.conclude(intake, ready, ready.outcome, 0.0)
                continue
            row = self.running.start(ready.delivery.id.encode(), ready.options.time_limit)
            self._active += 1
            batch.append((ready.call, self._when_done(intake, ready, row)))
        for delivery in intake.unstarted:  # taken back
            intake.in_hand.pop(delivery.id, None)
        intake.unstarted.clear()
        if batch:
            self.process.event_loop().start(batch)
        return bool(batch)

    def _when_done(self, intake: Intake, ready: Ready, row: int) -> Callable[[Outcome], None]:
        began = time.monotonic()
        running = self.running

        def done(outcome: Outcome) -> None:
            running.end(row)
            first = not self._ended
            self._ended.append((intake, ready, outcome, row, time.monotonic() - began))
            if first:
                self.bell.wake()

        return done

    def _collect(self) -> None:
        while self._ended:
            intake, ready, outcome, _, seconds = self._ended.popleft()
            self._active -= 1
            if intake in self.intakes and intake.in_hand.get(ready.delivery.id) is ready.delivery:
                self.conclude(intake, ready, outcome, seconds)
        self.process.has_enough()

    def give_up_running(self) -> None:
        """Cancel what runs, with LeaseLost."""
        if self._active:
            self.process.event_loop().give_up()


def _log_action(action: Action, ready: Ready, seconds: float) -> None:
    name, task_id = ready.name, ready.delivery.id
    error = action.error
    what = (
        f"{payload.class_path(error)}: {payload.message_of(error).splitlines()[0][:300] if str(error) else ''}" if error else ""
    )
    if action.do is Do.RETRY:
        log.warning(
            "%s[%s] will be retried in %.1f s (retry %d): %s", name, task_id, action.delay, ready.attempts.retries + 1, what
        )
    elif action.do is Do.BURY:
        log.error("%s[%s] failed after %.3f s: %s; kept in the dead list", name, task_id, seconds, what)
    elif action.do is Do.PARK:
        log.warning("%s[%s] cannot run here and is kept for a worker with %s", name, task_id, action.need)
    elif action.do is Do.END:
        log.warning("%s[%s] ended without running: %s", name, task_id, what)
    else:
        log.debug("%s[%s]: %s", name, task_id, action.do.name.lower())
