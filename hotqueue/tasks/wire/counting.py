"""Counting: what accounts tell → tallies, one for each name of tasks and each span of time. Unpickles nothing; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from operator import add

from hotqueue.tasks.rules.tally import FOLDED, Tally
from hotqueue.tasks.wire import account
from hotqueue.tasks.wire.account import Columns, Told
from hotqueue.tasks.wire.envelope import HAS_MORE, STEP
from hotqueue.tasks.wire.preview import preview
from hotqueue.tasks.wire.task_names import header_of, name_in

OTHERS = 10  # so many that have not ended take the place of one that has, in a list of these
ALL = ""  # the name under which all tasks of a queue are counted together
_COUNTED = frozenset({"succeeded", "failed", "retried", "lost", "parked"})
_NEEDED = frozenset({"succeeded", "failed"})
_FAR = 10**11  # seconds: what is told of a time behind that is nonsense, and would stand in the place of all that is not

Spans = dict[tuple[str, int, int], Tally]  # name, step, number of the span → what happened in it


class Counting:
    """What is counted of some accounts.

    Attributes:
        tasks: of how many they told that have ended.
        weights: of each account, for how many tenths of an ended task it stands in a list of them: one of which none ended, and
            which is emptied there, for 1; one that tells of many others besides stands for more.
        last: when the last of these did, in seconds.
    """

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, int], Tally] = {}
        self.tasks = self._told = 0
        self.weights: list[int] = []
        self.last = 0.0

    def _minute(self, name: str, at: float) -> Tally:
        if not 0 <= at < _FAR:
            return Tally()
        key = name, int(at // 60)
        tally = self._minutes.get(key)
        if tally is None:
            tally = self._minutes[key] = Tally()
        return tally

    def count(self, data: bytes) -> None:
        """Take in an account."""
        tasks, told_before = self.tasks, self._told
        batch = account.plain(data)
        with suppress(ValueError, OverflowError):  # of numbers that are none: nobody of ours wrote them
            if batch is None or not self._take_all(batch):
                for told in account.read(data):
                    self._take(told)
        ended = self.tasks - tasks
        self.weights.append(max(OTHERS * ended, self._told - told_before) if ended else 1)

    def _take_all(self, batch: Columns) -> bool:
        """Take in a batch that ended in one minute; False: it did not."""
        over = list(map(add, batch.began, batch.took))
        last, n = max(over), len(over)
        if min(batch.began) // 60 != last // 60:
            return False
        tally = self._minute(name_in(batch.header), last)
        tally.count("started", n)
        tally.count("succeeded", n)
        tally.attempts[1] = tally.attempts.get(1, 0) + n
        tally.ran(batch.took)
        tally.waited([began - sent / 1000 for began, sent in zip(batch.began, batch.created, strict=True)])
        self.tasks += n
        self._told += n
        self.last = max(self.last, last)
        return True

    def enqueued(self, minute: int, name: str, number: int) -> None:
        """Take in how many tasks of a name were enqueued in a minute."""
        self._minute(name, minute * 60).count("enqueued", number)

    def _take(self, told: Told) -> None:
        if not 0 <= told.at < _FAR:
            return
        self._told += 1
        name = name_in(header_of(told.head))
        tally = self._minute(name, told.at)
        if told.what in _COUNTED:
            tally.count(told.what)
        if is_end(told):
            self.tasks += 1
            self.last = max(self.last, told.at)
        if told.what in _NEEDED:
            tally.needed(max(1, told.attempts))
        if told.what == "lost":
            tally.count("started")
        elif told.began:
            tally.ran((told.took,))
            begun = self._minute(name, told.began)
            begun.count("started")
            due = due_of(told)
            if due > 0:
                begun.waited((told.began - due,))

    def together(self, step: int) -> dict[int, Tally]:
        """Return the tallies of all tasks together, of one step: by the number of the span."""
        found: dict[int, Tally] = {}
        for (_, minute), tally in self._minutes.items():
            found.setdefault(minute * 60 // step, Tally()).add(tally)
        return found

    def spans(self) -> Spans:
        """Return the tallies of all steps, of each name and of all together."""
        found: Spans = {}
        for (name, minute), tally in self._minutes.items():
            for each in (name, ALL):
                for step in FOLDED:
                    key = each, step, minute * 60 // step
                    if key not in found:
                        found[key] = Tally()
                    found[key].add(tally)
        return found


def is_end(told: Told) -> bool:
    """Tell whether a task has ended with what is told of it."""
    return told.what not in ("retried", "parked", "lost", "replaced")


def due_of(told: Told) -> float:
    """Return when a task was due, in seconds; -1 where nobody knows: behind other steps, or tried again by an older worker."""
    return told.due or due_at(told.head)


def due_at(head: bytes) -> float:
    """Return when the task of an envelope was first due, in seconds; -1 where it stands behind other steps."""
    if len(head) < 16 or head[3] & STEP:
        return -1.0
    if head[3] & HAS_MORE:
        return (preview(head).eta or int.from_bytes(head[8:16], "big")) / 1000
    return int.from_bytes(head[8:16], "big") / 1000


def ends(accounts: Iterable[bytes]) -> Iterator[Told]:
    """Yield the tasks that have ended, of accounts that come the newest first: the last one first."""
    for data in accounts:
        for told in reversed(list(account.read(data))):
            if is_end(told):
                yield told
