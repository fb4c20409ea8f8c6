"""Subscription: a queue as one worker takes from it: what is in hand, unsettled, fetched ahead."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from hotqueue.errors import STORE_ERRORS
from hotqueue.sizes import LARGE
from hotqueue.tasks.broker.session import Step, Stepped
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.client.batch import TRIP_BYTES, trips
from hotqueue.tasks.client.registry import Registry
from hotqueue.tasks.context import Request
from hotqueue.tasks.execution.executor import Call
from hotqueue.tasks.rules.history import REVOKED, with_verdict
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import settlement
from hotqueue.tasks.wire.settlement import Delivery, Settlement
from hotqueue.tasks.worker import task_log
from hotqueue.tasks.worker.attention import Attended, Attention
from hotqueue.tasks.worker.holding import UNENDED, Holding
from hotqueue.tasks.worker.inputs import read_inputs, takes_of_others
from hotqueue.tasks.worker.outlet import StreamOutlet
from hotqueue.tasks.worker.prefetch import Prefetch
from hotqueue.tasks.worker.progress_writer import ProgressWriter
from hotqueue.tasks.worker.slow_settlements import MOST_BREAKS, SlowSettlements
from hotqueue.tasks.worker.unparking import Unparking

LITTLE = 4 * 1024  # bytes of an outcome that is not worth a trip of its own
RECOVER_EVERY = 10.0  # seconds after which a worker asks what it holds though nothing has gone wrong
_size = attrgetter("size")

log = logging.getLogger("hotqueue.worker")


class Subscription(Holding, Unparking, Attended):
    """A queue as one worker takes from it.

    1. A step brings deliveries: `took` puts them in line (`unstarted`) and into the worker's hand (`in_hand`).
    2. The worker takes the first from the line, has it prepared (`prepare`) and runs it.
    3. How it ended waits for the next step (`settle_later`), which takes along what waits (`take_unsettled`); what is large
       goes by itself (`slow_settlements`).
    4. What was carried out is in hand no more (`settled`); what may not have been waits again (`unsettle`, `cut_off`).

    Attributes:
        unstarted: fetched, in the order in which they will be started.
        unsettled: settlements to send with the next step, and how many bytes they have.
        slow_settlements: what is settled by itself, so as not to hold up the others.
        ahead: a step under way that fetches the next batch while this one is worked at.
        progress: what its running tasks report.
        prefetch: how many tasks to fetch at once.
        left: how many tasks were there to fetch after the last fetch, if that brought any.
        unavailable_until: when to try again (monotonic) after the server refused us: a key of the wrong type, no permission.
        recovered_at: when it was last known what we hold (monotonic).
        may_have_more: the same, of what came while a fetch was under way, which may have been carried out before.
        is_away: True while others find out, beside the worker, whether its server answers: nothing is sent there meanwhile.
        is_registered: True once this worker has announced itself there, at `registered_at` (monotonic).
        is_newer: the queue's schema is not known to this version: until `fetch_at` (monotonic) nothing is fetched.
        has_left: True once it works there no more.
        running: calls of `async def` tasks that run, by their identity.
        place: the server, for a worker whose queues are at several (see several_servers.py).
    """

    def __init__(
        self,
        registry: Registry,
        worker: str,
        kind: str,
        moved: Callable[[], None] = lambda: None,
        index: int = 0,
        is_only: bool = True,
        attention: Attention | None = None,
    ) -> None:
        Holding.__init__(self, registry, worker, kind)
        Unparking.__init__(self)
        Attended.__init__(self, index, Attention() if attention is None else attention)
        self.unstarted: deque[Delivery] = deque()
        self.unsettled: list[Settlement] = []
        self.unsettled_bytes = 0
        self.slow_settlements = SlowSettlements(self, moved)
        self.progress = ProgressWriter(registry.broker.tell)
        self.lock = threading.Lock()  # of `unsettled`, which a Settler empties from another thread
        self.ahead: Step | None = None
        self.unavailable_until = 0.0
        self.recovered_at = time.monotonic()
        self._is_only = is_only
        self.may_have_tasks = True
        self.is_away = self.is_registered = self.has_left = False
        self.registered_at = 0.0
        self.may_have_more = False
        self.place: Any = None
        self.running: dict[int, Call] = {}
        self.looked_at = self._accepted_at = 0.0
        self.prefetch = Prefetch()
        self.left = 0
        self.due = -1
        self.others = self.suspects = 0
        self.is_newer, self.fetch_at = False, 0.0

    def note_registered(self) -> None:
        """Note that this worker has announced itself there."""
        self.is_registered, self.registered_at = True, time.monotonic()

    def until_due(self) -> float:
        """Return seconds until the next scheduled task, as far as known."""
        return math.inf if self.due < 0 else max(0.0, self.looked_at + self.due / 1000 - time.monotonic())

    @property
    def is_empty_handed(self) -> bool:
        """True while nothing of this queue is in hand, nor on its way."""
        return not (self.in_hand or self.unsettled or self.ahead) and self.slow_settlements.is_empty

    @property
    def is_quiet(self) -> bool:
        """True while nothing is to be done here but to wait for a ring."""
        is_known = not (self.may_have_tasks or self.may_be_wrong or self.is_unavailable or self.is_newer)
        is_all = is_known and self.due < 0 and not (self.needs or self.suspects) and self.is_empty_handed
        return self.has_left or (is_all and time.monotonic() >= self.mixed_until)

    @property
    def is_unavailable(self) -> bool:
        """True while there is no use in asking again."""
        return self.is_away or self.has_left or time.monotonic() < self.unavailable_until

    @property
    def may_be_wrong(self) -> bool:
        """True when it is long ago that we asked what we hold.

        A server that took over does not know what only its predecessor was told, and a client may go on there without an error.
        """
        if self.must_recover or time.monotonic() - self.recovered_at <= RECOVER_EVERY:
            return self.must_recover
        return self._is_only or self._accepted_at > self.recovered_at - RECOVER_EVERY  # of many queues, most hold nothing

    @property
    def is_given_up(self) -> bool:
        """True once `give_up` was called."""
        return self.unavailable_until == math.inf

    def give_up(self) -> None:
        """Ask never again: we leave, and Redis is away."""
        self.unavailable_until = math.inf

    def took(self, stepped: Stepped, room: int = 1) -> None:
        """Note what a step for so many tasks said and brought."""
        self.looked_at = time.monotonic()
        self._clock = (stepped.now, self.looked_at)
        self.due = stepped.due
        self.others = stepped.others
        self.suspects = stepped.suspects
        self.needs = stepped.needs
        self.paused = stepped.paused
        if room:
            self.left = stepped.left if stepped.deliveries else 0  # of one that is paused, nothing
            self.may_have_tasks = stepped.left > 0 or self.may_have_more
            self.has_more = bool(stepped.paused) and stepped.left > 0 and not stepped.deliveries
        if self.is_newer:  # what waits there is for others
            self.due, self.others, self.suspects, self.needs, self.left = -1, 0, 0, 0, 0
            self.may_have_tasks = False
        for task_id in stepped.revoked:  # its turn may still come
            if (delivery := self.in_hand.get(task_id)) is not None:
                delivery.history = with_verdict(delivery.history, REVOKED)
        self.accept(stepped.deliveries)

    def note_ring(self) -> None:
        """Note that there may be tasks, also behind a fetch that is under way."""
        self.may_have_tasks = self.may_have_more = True

    def accept(self, deliveries: list[Delivery]) -> None:
        """Put deliveries in line."""
        self.unstarted.extend(deliveries)
        for delivery in deliveries:
            self.in_hand[delivery.id] = delivery
        if deliveries:
            self._accepted_at = time.monotonic()

    def put_back_unstarted(self) -> None:
        """Let go of what is in line, and line up to put it back.

        Also what was taken back: who took it may put it back only later, or have come before the fetch did. Twice does no harm.
        """
        for delivery in self.unstarted:
            self.in_hand.pop(delivery.id, None)
            self.unsettled.append(settlement.put_back(delivery, self.counted_at))
        self.unstarted.clear()

    def may_start(self, delivery: Delivery) -> bool:
        """Tell whether a task of which more is said may start; a step of a workflow gets what it takes of others."""
        if self.is_too_late(delivery):
            return False
        if delivery.inputs is None and takes_of_others(delivery):
            try:
                read_inputs(self.registry.broker, [delivery, *self.unstarted])
            except STORE_ERRORS as error:  # the next step finds out how it is with the server
                log.warning("task %s goes back: what it takes of others cannot be read: %s", task_log.shown(delivery.id), error)
                return False
        return True

    def settle_later(self, each: Settlement) -> None:
        """Line up a settlement for the next step; a large one goes by itself, and what would make a large step of many."""
        size = len(each.blob) + len(each.extra)  # as `Settlement.size`, without a call for each task
        if size < LITTLE or size + self.unsettled_bytes < LARGE:
            with self.lock:
                self.unsettled.append(each)
                self.unsettled_bytes += size
        else:
            self._settle_apart([each])

    def _settle_apart(self, settlements: Sequence[Settlement]) -> None:
        pairs = [settlement.apart(each) for each in settlements if each.code not in UNENDED]
        with self.lock:
            self.unsettled += [stays for stays, _ in pairs]
        self.slow_settlements.add([*(outcome for _, outcome in pairs), *(each for each in settlements if each.code in UNENDED)])

    @property
    def has_more_than_a_trip(self) -> bool:
        """True while more is to be settled than one step should carry."""
        return self.unsettled_bytes > TRIP_BYTES or len(self.unsettled) > BULK

    def take_unsettled(self) -> list[Settlement]:
        """Return what is to be settled in one trip, for whoever settles it."""
        with self.lock:
            if not self.has_more_than_a_trip:
                taken, self.unsettled, self.unsettled_bytes = self.unsettled, [], 0
                return taken
            taken = next(trips(self.unsettled, _size))
            self.unsettled = self.unsettled[len(taken) :]
            self.unsettled_bytes -= sum(map(_size, taken))
        return taken

    def unsettle(self, settlements: Sequence[Settlement]) -> None:
        """Note that settlements may not have arrived: they are to be settled again."""
        self.doubt(settlements)
        with self.lock:
            self.unsettled[:0] = settlements
            self.unsettled_bytes += sum(map(_size, settlements))

    def refused(self, settlements: Sequence[Settlement]) -> None:
        """Note that a step was refused, perhaps because of one of these: they go apart."""
        self._settle_apart(settlements)

    def cut_off(self, settlements: Sequence[Settlement]) -> None:
        """Note that a connection broke over these: they are to be settled again, and apart if it does so time and again."""
        self.doubt(settlements)
        self._cut_off += sum(map(_size, settlements)) >= LARGE
        if self._cut_off < MOST_BREAKS:
            self.unsettle(settlements)
        else:
            self._cut_off = 0
            self._settle_apart(settlements)

    def lost(self) -> None:
        """Forget everything: this worker was given up here."""
        if self.ahead is not None:
            self.ahead.abandon()
            self.ahead = None
        self.unstarted.clear()
        self.in_hand.clear()
        self.slow_settlements.drop()
        self.progress.drop()
        self._in_doubt.clear()
        with self.lock:
            self.unsettled, self.unsettled_bytes = [], 0

    def report(self, _queue: str, task_id: str, progress: dict[str, Any]) -> None:
        """Publish a task's progress."""
        self.progress.report(task_id, {"progress": progress})

    def log(self, request: Request, line: str) -> None:
        """Keep a line; the task goes on where the server cannot be reached, and a later line brings it along."""
        with contextlib.suppress(*STORE_ERRORS):
            self.progress.log(request.id, (self.now(), request.attempt, line), lambda: self.registry.broker.logged(request.id))

    def outlet(self, request: Request, options: TaskOptions) -> Any:
        """Return where the items of a generator go."""
        return StreamOutlet(self.registry.broker, request, options, self.result_signer)
