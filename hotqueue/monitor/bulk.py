"""Bulk actions: retry, discard or revoke of all tasks that are chosen, in the background and in portions; counted first.

Which tasks: of some ids, or all that meet a filter. Each portion is carried out by the scripts of one state change each: wherever
a process dies, what is done is done and the rest is as it was; done again, an action finds only what is left. Unpickles nothing.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hotqueue.errors import HotQueueError
from hotqueue.monitor import acting, bulk_told
from hotqueue.monitor.acting import Chosen, Done
from hotqueue.monitor.filters import DEAD, PARKED, RETRYING, SCHEDULED, WAITING, Filter
from hotqueue.monitor.tasks import Search
from hotqueue.store.store import Store
from hotqueue.tasks.broker.discarding import UNDO_MS

RETRY, DISCARD, REVOKE = "retry", "discard", "revoke"
VERBS: Mapping[str, tuple[str, ...]] = {  # what is done to tasks in which states
    RETRY: (DEAD,),
    DISCARD: (DEAD,),
    REVOKE: (WAITING, RETRYING, SCHEDULED, PARKED),
}
PORTION = 200  # tasks between two looks at whether to go on
ASKED_EACH = 1.0  # seconds, while it is looked for some
COUNTED = 50_000  # tasks that are looked at to say how many are meant, if nobody says more
KEPT = 50  # actions that can still be asked about
NO_END = 10**12

_TOLD = ("who", "seen", "state", "error", "began", "ended", "brought_back")  # of an action, to everybody
SILENT = (
    f"Nothing was heard of it for more than {bulk_told.SILENT:.0f} s: the dashboard that did it may have ended. "
    "What it did stays done, and the rest is as it was: begin it again for that."
)
QUEUED, WORKING, FINISHED, CANCELLED, FAILED = "queued", "working", "finished", "cancelled", "failed"


@dataclass(frozen=True)
class Choice:
    """Which tasks are meant, and what is to be done to them.

    Attributes:
        verb: of VERBS.
        queues: in which it is looked for those that meet `wanted`.
        ids: those that are named, by their queue; then no filter counts.
    """

    verb: str
    queues: Sequence[str] = ()
    wanted: Filter = field(default_factory=Filter)
    ids: Chosen | None = None

    def portions(
        self, store: Store, most: int = NO_END, goes_on: Callable[[], bool] = lambda: True
    ) -> Iterator[tuple[str, list[str]]]:
        """Yield ids of the tasks that are meant, some at a time, with their queue.

        Args:
            most: how many are looked at.
            goes_on: asked at each of them; once it is false, no more are looked at.
        """
        if self.ids is not None:
            for queue, ids in self.ids.items():
                for start in range(0, len(ids), PORTION):
                    yield queue, list(ids[start : start + PORTION])
            return
        queue, some = "", list[str]()
        for row in Search(self.wanted, NO_END, most, by_time=False, goes_on=goes_on).rows(store, self.queues, VERBS[self.verb]):
            if some and (len(some) == PORTION or row.queue != queue):
                yield queue, some
                some = []
            queue = row.queue
            some.append(row.id)
        if some:
            yield queue, some


@dataclass(frozen=True)
class Counted:
    """How many tasks are meant; at least so many where `is_cut`."""

    number: int
    is_cut: bool = False

    def __str__(self) -> str:
        return f"{'at least ' * self.is_cut}{self.number:,}"


def count(store: Store, choice: Choice, look_at: int = COUNTED) -> Counted:
    """Return how many tasks are meant, looking at no more than `look_at`."""
    if choice.ids is not None:
        return Counted(sum(map(len, choice.ids.values())))
    search = Search(choice.wanted, NO_END, look_at, by_time=False)
    number = sum(1 for _ in search.rows(store, choice.queues, VERBS[choice.verb]))
    return Counted(number, search.is_cut)


class Action:
    """One action, queued, under way, or over.

    Attributes:
        id: by which it is asked about; what it throws away is marked with it.
        who: who had it done.
        total: how many tasks were meant when it was counted.
        seen: how many have been gone through; `done` says what became of them.
        state: QUEUED, WORKING, FINISHED, CANCELLED or FAILED, and then `error` says why.
        failure: what was raised then, if the store did.
        began, ended: when, as `time.time` has it.
        brought_back: how many of what it threw away were brought back.
        queue: under whose keys it tells how far it is; "" of one that does not.
    """

    def __init__(self, choice: Choice, total: Counted, who: str = "") -> None:
        self.id = secrets.token_hex(8)
        self.choice, self.total, self.who = choice, total, who
        self.seen, self.done = 0, Done()
        self.state, self.error = QUEUED, ""
        self.failure: HotQueueError | None = None
        self.began, self.ended = time.time(), 0.0
        self.brought_back = 0
        self.queue = ""
        self._cancelled = threading.Event()
        self._told_at = self._asked_at = 0.0  # by the clock of this process

    @property
    def is_over(self) -> bool:
        """Nothing more will be done."""
        return self.state in (FINISHED, CANCELLED, FAILED)

    @property
    def can_be_undone(self) -> bool:
        """What it did can be: it threw tasks away, not long ago."""
        is_recent = not self.is_over or time.time() < self.ended + UNDO_MS / 1000
        return self.choice.verb == DISCARD and self.done.count > self.brought_back and is_recent

    def cancel(self) -> None:
        """Have it stop behind the portion that it is at."""
        self._cancelled.set()

    def tell(self, store: Store) -> None:
        """Have everybody at the store know how far it is."""
        if self.queue:
            self._told_at = time.monotonic()
            kept = {name: getattr(self, name) for name in _TOLD}
            done = {"count": self.done.count, "said": self.done.said, "kept": len(self.done.kept)}
            total = [self.total.number, self.total.is_cut]
            bulk_told.tell(store, self.queue, self.id, {**kept, "verb": self.choice.verb, "total": total, "done": done})

    def _goes_on(self, store: Store) -> bool:
        if self.queue and bulk_told.is_to_stop(store, self.queue, self.id):
            self.cancel()
        return not self._cancelled.is_set()

    def _looks_on(self, store: Store) -> bool:
        """Tell of a search that it goes on, now and then: it may look for long and find nothing; and whether it does."""
        now = time.monotonic()
        if now - self._asked_at >= ASKED_EACH:
            self._asked_at = now
            with contextlib.suppress(HotQueueError):  # what is looked at next says it
                if now - self._told_at >= bulk_told.SILENT / 4:
                    self.tell(store)
                self._goes_on(store)
        return not self._cancelled.is_set()

    def run(self, store: Store) -> None:
        """Do it."""
        self.state, is_whole = WORKING, True

        def goes_on() -> bool:
            nonlocal is_whole
            is_whole = self._looks_on(store)
            return is_whole

        try:
            for queue, ids in self.choice.portions(store, goes_on=goes_on):
                if not is_whole or not self._goes_on(store):
                    self.state = CANCELLED
                    return
                self._take_in(self._act(store, {queue: ids}), len(ids))
                self.tell(store)
            self.state = FINISHED if is_whole else CANCELLED
        except HotQueueError as error:  # of the rest nothing was done
            self.state, self.error, self.failure = FAILED, str(error), error
        except Exception as error:  # ours: whoever waits for the end has to hear of it
            self.state, self.error = FAILED, f"a mistake of hotqueue: {error!r:.200}"
            raise
        finally:
            self.ended = time.time()

    def _act(self, store: Store, some: Chosen) -> Done:
        if self.choice.verb == RETRY:
            return acting.retry(store, some)
        if self.choice.verb == DISCARD:
            return acting.discard(store, some, mark=self.id)
        return acting.revoke(store, some, terminate=False)

    def _take_in(self, part: Done, seen: int) -> None:
        self.done.count += part.count
        self.done.missing += part.missing
        self.done.kept |= part.kept
        for said, number in part.said.items():
            self.done.said[said] = self.done.said.get(said, 0) + number
        self.seen += seen

    def undo(self, store: Store, queues: Sequence[str]) -> Done:
        """Bring back what it threw away; of a running one, what it has so far.

        Args:
            queues: where that may be.
        """
        self.cancel()
        back = acting.undo_discard(store, list(self.choice.ids or queues), mark=self.id)
        self.brought_back += back.count
        return back


def told_of(store: Store, queue: str, action_id: str) -> Action | None:
    """Return an action of any process, as it was told of last; None where nothing is known of it.

    One of which nothing was heard for some time is taken for over: whoever did it may have ended.
    """
    said, age = bulk_told.told(store, queue, action_id)
    if said is None:
        return None
    try:
        total, done = Counted(*said["total"]), said["done"]
        found = Action(Choice(said["verb"]), total)
        for name in _TOLD:
            setattr(found, name, said[name])
        found.id, found.queue = action_id, queue
        found.done = Done(done["count"], kept={str(n): "" for n in range(done["kept"])}, said=done["said"])
        ahead = time.time() - age - said["told"]  # of that clock, ours is
        found.began, found.ended = found.began + ahead, found.ended + ahead
    except (LookupError, TypeError):  # none of ours
        return None
    if not found.is_over and age > bulk_told.SILENT:
        found.state, found.ended = FAILED, time.time() - age
        found.error = SILENT
    return found


class Actions:
    """The actions of one program: one works at a time, the others wait for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Action] = {}
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def start(
        self, choice: Choice, total: Counted, who: str = "", at_end: Callable[[Action], None] = lambda _action: None
    ) -> Action:
        """Have an action begin in the background.

        Args:
            at_end: called once it is over, in its thread.
        """
        action = Action(choice, total, who)
        action.queue = next(iter(choice.ids or choice.queues), "")
        action.tell(self._store)
        self.take_in(action)
        threading.Thread(target=self._run, args=(action, at_end), name=f"bulk-{action.id}", daemon=True).start()
        return action

    def take_in(self, action: Action) -> None:
        """Have an action known that somebody else runs."""
        with self._lock:
            self._known[action.id] = action
            for old in [each.id for each in self._known.values() if each.is_over][: max(0, len(self._known) - KEPT)]:
                del self._known[old]

    def _run(self, action: Action, at_end: Callable[[Action], None]) -> None:
        while not self._turn.acquire(timeout=bulk_told.SILENT / 4):
            with contextlib.suppress(HotQueueError):
                action.tell(self._store)
        try:
            action.run(self._store)
        finally:
            self._turn.release()
        with contextlib.suppress(HotQueueError):
            action.tell(self._store)
        at_end(action)

    def get(self, action_id: str) -> Action | None:
        """Return an action by its id."""
        with self._lock:
            return self._known.get(action_id)

    def recent(self) -> list[Action]:
        """Return the actions that are known, the last one first."""
        with self._lock:
            return list(self._known.values())[::-1]
