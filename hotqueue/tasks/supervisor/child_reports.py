"""Reports: what children say over their pipes, and what follows from it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from hotqueue import presence
from hotqueue.errors import ConnectionFailed, HotQueueError
from hotqueue.runtime.background import Background
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules import globs
from hotqueue.tasks.supervisor.children import Child
from hotqueue.tasks.supervisor.declaring import Declared
from hotqueue.tasks.supervisor.found_queues import FoundQueues
from hotqueue.tasks.supervisor.phase import Phase
from hotqueue.tasks.supervisor.preflight import check_queues
from hotqueue.tasks.supervisor.processes import Processes
from hotqueue.tasks.supervisor.replacement import Replacement
from hotqueue.tasks.supervisor.served_queues import Queues
from hotqueue.tasks.supervisor.upkeep import Upkeep
from hotqueue.tasks.wire import payload
from hotqueue.tasks.worker import child
from hotqueue.tasks.worker.child import Settings

log = logging.getLogger("hotqueue.worker")

FIRST_LOOK, UNTIL_OVER = 1.0, 600.0  # seconds of looking at all keys before the first process begins; and in a burst

Named = list[tuple[str, Store]]  # queues, by name and store


class Reports:
    """Acts upon what the children of one supervisor report.

    1. hello: a process could load the modules; the first one names the queues, whose servers are checked.
    2. failed: it could not.
    3. left: it works at a queue no more that a glob had found.
    4. worker: one of its workers has registered at the queues.
    5. ends_soon: it will reach a limit before long.
    6. finishing: it fetches nothing more.
    7. leaving: its workers have left; what is done at an exit is still to come.

    Args:
        background: does what may wait for Redis.
        upkeep_of: makes the upkeep of the queues.
        on_ready: called once with the queues and tasks that the first child found, and where globs find more.
        queues: those that are looked after.
        found: those that globs find.
    """

    def __init__(
        self,
        settings: Settings,
        state: Phase,
        pool: Processes,
        replacement: Replacement,
        background: Background,
        upkeep_of: Callable[[list[Broker]], Upkeep],
        on_ready: Callable[[Named, list[str], list[Store]], None],
        queues: Queues,
        found: FoundQueues,
    ) -> None:
        self.queues = queues
        self._found = found
        self._settings = settings
        self._state = state
        self._pool = pool
        self._replacement = replacement
        self._background = background
        self._upkeep_of = upkeep_of
        self._on_ready = on_ready
        self._declared: dict[Broker, Declared] = {}  # what is not yet passed on

    def receive(self, each: Child, reports: Iterable[dict[str, Any]]) -> None:
        """Act upon what a child says."""
        for report in reports:
            getattr(self, f"_on_{report.pop('kind')}")(each, **report)

    def _on_hello(
        self, each: Child, queues: bytes, tasks: list[str], late: bytes, keys: list[str | None], declared: bytes
    ) -> None:
        each.is_ready = True
        self._replacement.loaded()
        found: Named = payload.loads(queues)
        each.queues = [self.queues.broker_of(name, store) for name, store in found]
        for broker, secret_key in zip(each.queues, keys, strict=True):
            self.queues.note_key(broker, secret_key)
        if each.suspects is None:
            self._declared |= {each.queues[n]: Declared(*found) for n, found in payload.loads(declared).items()}
        each.stores = [self.queues.store_of(store) for store in payload.loads(late)]
        if self._state.upkeep is not None:
            self._state.upkeep.adopt(each.queues)  # the modules may have been changed since the first process
            self._declare(self._state.upkeep)
            self._found.tell(each)
            if each.suspects is not None:
                each.begin()
            return
        named = [(broker.name, broker.store) for broker in each.queues]
        self._found.seek(each.stores, each.queues)
        self._background.begin(
            partial(self._check, named, each.stores), partial(self._after_check, each, named, tasks, each.stores)
        )

    def _check(self, named: Named, late: list[Store]) -> HotQueueError | None:
        """Return why queues cannot be worked at, if so; see which ones globs find."""
        examples = [(globs.example(glob) or "hotqueue", store) for store in late for glob in self._settings.globs]
        refusal = check_queues([*named, *examples])
        if refusal is None and late:
            self._found.look_at_all(UNTIL_OVER if self._settings.is_burst else FIRST_LOOK)
        return refusal

    def _after_check(self, each: Child, found: Named, tasks: list[str], late: list[Store], refusal: HotQueueError | None) -> None:
        if refusal is not None:
            code = child.EXIT_UNREACHABLE if isinstance(refusal, ConnectionFailed) else child.EXIT_USAGE
            if self._state.exit is None:
                self._on_failed(each, code, str(refusal))
            return
        upkeep = self._upkeep_of(self.queues.all())
        self._declare(upkeep)
        begin = partial(self._begin, each, upkeep, found, tasks, late)
        if self._settings.is_burst:  # what schedules fire is to be there before it is looked whether anything is left
            self._background.begin(partial(_fire, upkeep), begin)
        else:
            begin(None)

    def _begin(self, each: Child, upkeep: Upkeep, found: Named, tasks: list[str], late: list[Store], _fired: object) -> None:
        self._state.upkeep = upkeep
        self._found.tell(each)
        found = [*found, *((broker.name, broker.store) for broker in self._found.all())]
        if self._state.exit is None:
            self._on_ready(found, tasks, late)
        else:
            upkeep.end_schedules()

    def _declare(self, upkeep: Upkeep) -> None:
        """Declare the schedules that the modules have, as the process has them that loaded them last."""
        upkeep.declare(self._declared)
        self._declared = {}

    def _on_failed(self, each: Child, code: int, text: str) -> None:
        if self._state.upkeep is None:
            self._state.cannot_begin(text, code)
            self._pool.stop_all()
            self._state.stop_at = 0.0
        else:
            each.why_not = text

    def _on_worker(self, each: Child, trouble: str, **worker: Any) -> None:
        each.note_worker(**worker)
        self._replacement.works(each, self._pool.all)
        if trouble and presence.TROUBLE not in self._settings.said:
            self._settings.said.add(presence.TROUBLE)
            log.warning("%s", presence.advice(trouble, self._settings.lease_ms / 1000))

    def _on_left(self, each: Child, queue: int, order: int) -> None:
        self._found.left(each, queue, order)

    def _on_ends_soon(self, each: Child) -> None:
        each.ends_soon = True

    def _on_finishing(self, each: Child) -> None:
        """It fetches nothing more, and has room for what others are to run."""
        each.is_stopping = True
        self._replacement.make_up_for(each)

    def _on_leaving(self, each: Child, reached_limit: bool) -> None:
        each.leaves_by = time.monotonic() + self._settings.grace
        if reached_limit:
            self._replacement.make_up_for(each)


def _fire(upkeep: Upkeep) -> None:
    with contextlib.suppress(HotQueueError):  # the upkeep says so
        upkeep.fire()
