"""SlotFiring: what firing the due slots of a queue's schedules changes, and the tasks that come of it.

Reads no clock: when it is time for it, and since when this process lives, queue_schedules.py knows.
"""

from __future__ import annotations

from collections.abc import Callable

from hotqueue.errors import ConnectionFailed, CorruptEnvelope, HotQueueError, NewerQueue, SignatureError
from hotqueue.signing import Signer
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.relay import relay
from hotqueue.tasks.broker.scheduling import Change, Due, version_of
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.rules import firing
from hotqueue.tasks.rules.firing import DURABLE, Plan, State
from hotqueue.tasks.wire import envelope, schedule_row
from hotqueue.tasks.wire.outgoing import Outgoing, packed
from hotqueue.tasks.wire.schedule_row import ScheduleRow
from hotqueue.tasks.worker import failpoints

GIVEN = 2000  # ms that we leave what was missed before our time to those who may have lived then
AGAIN = 1.0  # seconds until what failed is tried again
TRIP_BYTES = 1 << 20  # of what one schedule fires at once, at most, but for the first slot

Fired = tuple[Change, list[Encoded]]  # and the tasks that it stores in the same queue


class SlotFiring:
    """Fires slots.

    Args:
        signer: of the queue's tasks.
        is_patient: False: what was missed is made up for at once, for somebody who will not be here for long.
        say: logs what is wrong, once.
        declares: given a schedule's name and state, tells whether this process declares that very schedule.
    """

    def __init__(
        self,
        broker: Broker,
        signer: Signer | None,
        is_patient: bool,
        say: Callable[[str], None],
        declares: Callable[[str, State], bool],
    ) -> None:
        self._broker, self._signer, self._is_patient, self._say, self._declares = broker, signer, is_patient, say, declares
        self._rows_signer = None if signer is None else signer.for_schedules(broker.name)

    def fire(self, due: Due, since: int) -> float:
        """Fire what was read; return for how many seconds some of it is left to others, or to be tried again."""
        live = {version_of(who) for who in due.live}
        changes: list[tuple[Change, list[Encoded]]] = []
        aside: list[Change] = []
        later = 0.0
        for name, data, text in due.rows:
            state = State.read(text)
            try:
                row = schedule_row.decode(data, name, self._rows_signer)
            except (CorruptEnvelope, SignatureError) as error:
                self._say(str(error))
                row = None
            if row is None or state is None or state.slot is None:
                later = later or AGAIN  # perhaps somebody else can read it
            elif not (state.version == DURABLE or state.version in live or self._declares(name, state)):
                aside.append(Change(name, text, text))  # until somebody declares it again
            elif self._is_patient and firing.has_missed(state, due.now, since) and due.now < since + GIVEN:
                later = max(later, (since + GIVEN - due.now) / 1000)
            else:
                found = self._fired(row, state, text, due.now, since)
                (changes.append(found) if found[1] else aside.append(found[0]))
        if failpoints.IS_ARMED:
            failpoints.at("before_fire")
        if aside:
            self._set_aside(aside)
        later = max(later, self._store(changes))
        if failpoints.IS_ARMED:
            failpoints.at("after_fire")
        return later

    def _set_aside(self, changes: list[Change]) -> None:
        """Carry out what fires nothing here; and bring what goes to other queues there."""
        self._broker.set_schedules(changes)
        if any(change.posts for change in changes):
            if failpoints.IS_ARMED:
                failpoints.at("after_post")
            relay(self._broker)

    def _store(self, changes: list[tuple[Change, list[Encoded]]]) -> float:
        """Store what is fired, as much in a trip as it takes; return after how many seconds the rest is to be tried again."""
        trips: list[list[tuple[Change, list[Encoded]]]] = [[]]
        count = size = 0
        for change, tasks in changes:
            more = sum(len(task.envelope) for task in tasks)
            if trips[-1] and (count + len(tasks) > BULK or size + more > TRIP_BYTES):
                trips.append([])
                count = size = 0
            trips[-1].append((change, tasks))
            count, size = count + len(tasks), size + more
        return max([self._store_some(some) for some in trips if some], default=0.0)

    def _store_some(self, some: list[tuple[Change, list[Encoded]]]) -> float:
        """As `_store`, in one trip; where that is refused because of one of them, the others all the same."""
        try:
            self._broker.fire_schedules([change for change, _ in some], [task for _, tasks in some for task in tasks])
        except (ConnectionFailed, NewerQueue):
            raise
        except HotQueueError as error:
            if len(some) > 1:
                return max(self._store_some([each]) for each in some)
            self._say(f"schedule {some[0][0].name!r:.200} cannot be fired: {error}; trying again until it can")
            return AGAIN
        return 0.0

    def _fired(self, row: ScheduleRow, state: State, text: str, now: int, since: int) -> tuple[Change, list[Encoded]]:
        """Return the change that firing what is due of a schedule makes, and the tasks that it stores in this queue."""
        plan = row.plan
        slots, following = firing.slots_to_fire(plan, state, now, since)
        most = max(1, TRIP_BYTES // max(1, len(row.envelope)))
        if len(slots) > most:
            slots, following = slots[:most], slots[most]
        if slots and row.overlap == "skip":
            slots = [] if self._is_running(row, plan, state) else slots[-1:]
        after = firing.fired(state, slots, following)
        tasks = [self._task(row, plan.task_id(slot), now) for slot in slots]
        if row.queue == self._broker.name:
            return Change(row.name, text, after.text, due=after.due(plan), tasks=len(tasks)), tasks
        posts = packed([Outgoing(row.queue, task.id, "", task.expires, task.envelope) for task in tasks])
        return Change(row.name, text, after.text, due=after.due(plan), posts=posts), []

    def _task(self, row: ScheduleRow, task_id: str, now: int) -> Encoded:
        return Encoded(task_id, "", row.expires, envelope.restamped(row.envelope, task_id, now, self._signer))

    def _is_running(self, row: ScheduleRow, plan: Plan, state: State) -> bool:
        """Tell whether what was fired last has not ended; what goes to another queue may still be on its way there."""
        if state.last is None:
            return False
        where = self._broker
        if row.queue != self._broker.name:
            relay(self._broker)
            where = Broker(self._broker.store, row.queue)
        return where.are_unfinished([plan.task_id(state.last)])[0]
