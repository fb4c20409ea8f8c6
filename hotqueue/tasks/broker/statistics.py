"""Statistics of a queue in the store: folding in what was told with settlements, and reading spans.

What is told waits as it came: a settlement pays for one command, and nothing is looked at. Whoever looks after the queue folds it
in, a second later, in portions: counted here, written by a script if nobody else did so meanwhile. Readers count what still waits
by themselves, so that what they show is as of now. Why so: docs/decisions/0065.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue, whole
from hotqueue.tasks.broker.unfolded import Numbers, Unfolded, names_in
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.rules.tally import FOLDED, KEEP_ENDED, KEPT, Tally, decode, span_of
from hotqueue.tasks.wire.account import Told
from hotqueue.tasks.wire.counting import ALL, OTHERS, Counting, Spans, ends

PORTION, MOST = 100, 1000  # accounts that are folded in together, and how many more, where they are small
PORTION_BYTES = 1_000_000
ENDED_MS = 24 * 3_600_000  # for which ended tasks can be listed
YEAR_MS = 367 * 24 * 3_600_000
MOST_DEPLOYS = 100
LANES = 20  # that are looked at for the oldest task
FIRST_PAGE = 8  # accounts of ended tasks that are read at first; then as many as have so many bytes, twice as many each time
PAGE_BYTES, MOST_PAGE_BYTES = 16_000, 256_000
OLDEST = 25  # of the oldest accounts, that are looked at together
TRIES = 5  # to fold, or to read, while others fold
AT_ONCE = 2000  # rows that one command reads
TRIMMED = 20  # pages of rows that are looked through at one time for those that are too old
UNFOLDED = ("version", "task names", "kept", "counted")  # what of the statistics says what is not in them
_FIELD = struct.Struct(">BHH")  # of a row: which step, the number of the name, the place of the span in its ring


class Statistics(StoredQueue):
    """What was counted of one queue."""

    _portion = PORTION

    # --- folding -------------------------------------------------------------------------------------------------

    def fold(self, keep: int) -> bool:
        """Fold a portion in; tell whether there may be more.

        Args:
            keep: how many ended tasks can be listed from then on; 0: none.
        """
        for _ in range(TRIES):
            portion = self._portion
            found = self._unfolded(portion)
            if not (found.accounts or found.enqueued):
                return False
            if found.accounts:
                fitting = PORTION_BYTES * len(found.accounts) // (1 + sum(map(len, found.accounts)))
                self._portion = max(PORTION, min(MOST, fitting))
            if self._fold(found, keep):
                break
        return len(found.accounts) == portion

    def _fold(self, found: Unfolded, keep: int) -> bool:
        counted = found.counted()
        changes = self._changes(found, counted.spans())
        dropped, kept = self._surplus(found, counted.weights, keep) if keep else (0, 0)
        are_ends = "".join(["01"[weight > 1] for weight in counted.weights])
        pairs: list[Any] = [part for pair in found.enqueued.items() for part in pair]
        rows = [*changes, "kept", kept, "keep", keep]
        args = [found.version, are_ends, ENDED_MS if keep else 0, dropped, YEAR_MS, len(found.enqueued), *pairs, *rows]
        return bool(self.store.run(scripts.FOLD, self.script_keys.fold(), args, doing="counting what tasks did"))

    def _unfolded(self, most: int) -> Unfolded:
        n = self.name
        ask = self.store.command
        version, names, *numbers = ask(keys.statistics(n), "HMGET", keys.statistics(n), *UNFOLDED)
        kept, counted = (whole(number or b"0") for number in numbers)
        accounts = ask(keys.accounts(n), "LRANGE", keys.accounts(n), counted, counted + most - 1 if most else -1)
        pairs = ask(keys.enqueued(n), "HGETALL", keys.enqueued(n))
        enqueued = {name: whole(number) for name, number in zip(pairs[::2], pairs[1::2], strict=True)}
        return Unfolded(version or b"0", names_in(names), kept, list(accounts), enqueued, counted)

    def _changes(self, found: Unfolded, spans: Spans) -> list[Any]:
        """Return the fields of rows that change, each with the row; the names among them, if there are new ones."""
        known, numbered = len(found.names), Numbers(found.names)
        by_field: dict[bytes, tuple[int, Tally]] = {}
        for (name, step, span), tally in spans.items():
            place = field_of(step, numbered.of(name), span)
            if (before := by_field.get(place)) is None or before[0] < span:
                by_field[place] = span, tally
            elif before[0] == span:  # of several names that are one
                before[1].add(tally)
        places = list(by_field)
        changes: list[Any] = []
        for place, row in zip(places, self._rows(places), strict=True):
            span, tally = by_field[place]
            if row is not None and span_of(row) > span:
                continue  # told too late to be kept
            if row is not None and (old := decode(row, span)) is not None:
                tally.add(old)
            changes += (place, tally.encode(span))
        if len(found.names) > known:
            changes += ("task names", "\n".join(found.names))
        return changes

    def _surplus(self, found: Unfolded, weights: Sequence[int], keep: int) -> tuple[int, int]:
        """Return how many of the oldest accounts go, and what the others weigh; see `Counting.weights`."""
        kept, most, dropped = found.kept + sum(weights), keep * OTHERS, 0
        if kept > most:
            for weight in chain(map(_weight, self._oldest_first(found.behind)), weights):
                if kept - weight < most:
                    break
                kept -= weight
                dropped += 1
        return dropped, kept

    def _oldest_first(self, counted: int) -> Iterator[bytes]:
        key = keys.accounts(self.name)
        for at in range(0, counted, OLDEST):
            last = min(at + OLDEST, counted) - 1
            yield from self.store.command(key, "LRANGE", key, at, last, doing="counting what tasks did")

    def _rows(self, places: Sequence[bytes]) -> list[bytes | None]:
        key, found = keys.statistics(self.name), list[bytes | None]()
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            found += self.store.command(key, "HMGET", key, *some, doing="reading statistics")
        return found

    def trim(self, cursor: bytes, now: float) -> bytes:
        """Drop rows that are older than they are kept, of some from a cursor on; return that from which to go on."""
        key = keys.statistics(self.name)
        for _ in range(TRIMMED):
            cursor, found = self.store.command(key, "HSCAN", key, cursor, "COUNT", 1000)
            pairs = zip(found[::2], found[1::2], strict=True)
            old = [name for name, row in pairs if len(name) == _FIELD.size and _is_old(name, row, now)]
            if old:
                self.store.command(key, "HDEL", key, *old)
            if cursor == b"0":
                break
        return bytes(cursor)

    # --- reading -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the server's time in seconds."""
        seconds, micros = self.store.repeat(lambda: self.store.command(keys.statistics(self.name), "TIME"))
        return int(seconds) + int(micros) / 1_000_000

    def read(self, names: Iterable[str] | None, step: int, first: int, count: int) -> dict[str, list[Tally]]:
        """Return what happened in so many spans from the first on: to tasks of some names; None: of each that there is.

        What no one has folded in yet is in it.
        """
        return self.store.repeat(partial(self._read, None if names is None else list(names), step, first, count))

    def _read(self, names: list[str] | None, step: int, first: int, count: int) -> dict[str, list[Tally]]:
        for _ in range(TRIES):
            found = self._unfolded(0)
            wanted = names if names is not None else [*found.names]
            numbers = {name: number for number, name in enumerate([ALL, *found.names])}
            spans = range(first, first + count)
            known = [name for name in wanted if name in numbers]
            places = [field_of(step, numbers[name], span) for name in known for span in spans]
            rows = self._rows(places)
            key = keys.statistics(self.name)
            if (self.store.command(key, "HGET", key, "version") or b"0") == found.version:
                break
        tallies = {name: [Tally() for _ in spans] for name in wanted}
        for at, row in enumerate(rows):
            span = first + at % count
            if row is not None and (tally := decode(row, span)) is not None:
                tallies[known[at // count]][at % count].add(tally)
        for (name, its_step, span), tally in found.spans().items():
            if its_step == step and span in spans and (names is None or name in tallies) and (name != ALL or names is not None):
                tallies.setdefault(name, [Tally() for _ in spans])[span - first].add(tally)
        return tallies

    def first_waiting(self) -> list[bytes]:
        """Return the envelopes, without their payloads, of the first tasks of each priority in each set in which they are ready.

        And of some in lanes, whose first ones are looked at.
        """
        heads = partial(self.store.run, scripts.HEADS, self.script_keys.heads(), [LANES], doing="looking for the oldest task")
        return list(self.store.repeat(heads))

    def keeps(self) -> int:
        """Return how many ended tasks can be listed, as whoever folded last has it: accounts go whole, so that there are more."""
        key = keys.statistics(self.name)
        said = self.store.repeat(partial(self.store.command, key, "HGET", key, "keep", doing="listing tasks"))
        return KEEP_ENDED if said is None else whole(said)

    def ended(self, having: bytes = b"") -> Iterator[Told]:
        """Yield the tasks that have ended, the last one first, as far as they are kept; no more is read than is asked for, about.

        Args:
            having: only of accounts that have these bytes, such as a task's id, somewhere.
        """
        for key in (keys.accounts(self.name), keys.ended(self.name)):
            yield from ends(data for data in self._newest_first(key) if having in data)

    def _newest_first(self, key: str) -> Iterator[bytes]:
        """Yield the elements of a list from the end, in portions that grow; while others fold, one may come twice, or not."""
        at, page, most = -1, FIRST_PAGE, PAGE_BYTES
        while found := self.store.repeat(
            partial(self.store.command, key, "LRANGE", key, at - page + 1, at, doing="listing tasks")
        ):
            yield from reversed(found)
            if len(found) < page:
                return
            at -= len(found)
            most = min(2 * most, MOST_PAGE_BYTES)
            page = max(1, min(MOST, most * len(found) // (1 + sum(map(len, found)))))

    # --- deploys -------------------------------------------------------------------------------------------------

    def deploy(self, version: str, who: str, *, if_new: bool = False) -> bool:
        """Note that a version of the code was deployed; tell whether it was.

        Args:
            if_new: only if the last one was of another version.
        """
        args = [keys.raw(version), keys.raw(who), int(if_new), MOST_DEPLOYS, YEAR_MS]
        run = partial(self.store.run, scripts.DEPLOY, self.script_keys.deploy(), args, doing="noting a deploy")
        return bool(self.store.repeat(run))

    def deploys(self) -> list[dict[str, Any]]:
        """Return the last deploys, the oldest first, as they were noted: ``at`` (ms), ``version``, ``who``."""
        key = keys.deploys(self.name)
        found = self.store.repeat(partial(self.store.command, key, "LRANGE", key, 0, -1, doing="reading deploys"))
        return [each for each in map(json_object, found) if each is not None]


def _weight(data: bytes) -> int:
    counted = Counting()
    counted.count(data)
    return counted.weights[0]


def field_of(step: int, number: int, span: int) -> bytes:
    """Return under what the row of a span stands."""
    return _FIELD.pack(FOLDED.index(step), number, span % KEPT[step])


def _is_old(name: bytes, row: bytes, now: float) -> bool:
    """Tell whether a row goes: too old; or so far ahead, by a clock that was wrong, that others want its place."""
    which = name[0]
    return which >= len(FOLDED) or abs(now // FOLDED[which] - span_of(row)) >= KEPT[FOLDED[which]]
