"""Posting: a queue's outbox, and its receipts of what came from the outboxes of others. Who brings it there: relay.py."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import BULK, StoredQueue, whole
from hotqueue.tasks.wire import task_names
from hotqueue.tasks.wire.outgoing import Outgoing, opened

NEW, STALE = (
    1,
    2,
)  # what `receive` says of a task: it is new; it was read long ago, and has been struck since, or is to be renumbered


class Posted(NamedTuple):
    """What waits in an outbox: its number there, and the task."""

    number: int
    task: Outgoing


class Posting(StoredQueue):
    """What goes from queue to queue."""

    # --- the source ----------------------------------------------------------------------------------------------

    def targets(self) -> list[str]:
        """Return the queues for which something is in the outbox, or that were not yet told what has been struck."""
        key = keys.outbox(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "HKEYS", key))
        return [keys.text(name) for name in found]

    def posted(self, target: str, count: int = BULK) -> tuple[int, list[Posted]]:
        """Return the number before which all has been struck, and what is left for a queue, the lowest first; a part of it."""
        args = [keys.raw(target), count]
        read = partial(self.store.run, scripts.POSTED, self.script_keys.posted(target), args, doing="reading an outbox")
        floor, *found = self.store.repeat(read)
        some = []
        for entry, number in zip(found[::2], found[1::2], strict=True):
            task = opened(target, entry)
            if task is None:  # nobody of ours wrote it
                key = keys.posted(self.name, target)
                self.store.command(key, "ZREM", key, entry)
            else:
                some.append(Posted(int(float(number)), task))
        return whole(floor), some

    def strike(self, target: str, some: Sequence[Posted], told: int | None = None) -> tuple[int, int]:
        """Strike what has come to its queue; return the number before which all has been struck, and how much is left.

        Args:
            told: that number, once the queue was told of it: if nothing is left, nothing more is to be done for it.
        """
        args = [keys.raw(target), "" if told is None else told, *_named(some)]
        strike = partial(self.store.run, scripts.STRIKE, self.script_keys.posted(target), args, doing="striking in an outbox")
        floor, left = self.store.repeat(strike)
        return whole(floor), int(left)

    def renumber(self, target: str, some: Sequence[Posted], above: int) -> int:
        """Give what waits numbers above one; return how many these were."""
        every_key, args = self.script_keys.renumber(target), [above, *_named(some)]
        return int(self.store.run(scripts.RENUMBER, every_key, args, doing="numbering an outbox anew"))

    # --- the target ----------------------------------------------------------------------------------------------

    def receive(self, source: str, some: Sequence[Posted]) -> tuple[list[int], int]:
        """Store tasks from the outbox of another queue: all that is left there, from the lowest number on up to some.

        Returns:
            NEW, STALE or 0 (it is known) for each, and the highest number that ever came from there.
        """
        ids = "\n".join([each.task.id for each in some]) + "\n"
        times = "".join([f"{each.task.due} {each.task.expires}\n" for each in some])
        numbers = "\n".join([str(each.number) for each in some])
        envelopes = [each.task.envelope for each in some]
        args = [task_names.lines_of(envelopes), keys.raw(ids), times, *envelopes, keys.raw(source), some[0].number, numbers]
        every_key = [*self.script_keys.enqueue(), *self.script_keys.received(source)]
        script = scripts.enqueueing(envelopes)
        store = partial(self.store.run, script, every_key, args, "taking tasks of another queue", repeatable=True)
        *answers, highest = self.store.repeat(store)
        return answers, int(highest)

    def told(self, source: str, floor: int) -> None:
        """Forget the receipts of what has been struck in the outbox of another queue: what is below a number."""
        every_key, args = self.script_keys.received(source), [keys.raw(source), floor]
        self.store.repeat(lambda: self.store.run(scripts.TOLD, every_key, args, doing="forgetting receipts"))

    def sources(self) -> dict[str, tuple[bytes, int]]:
        """Return the queues from whose outboxes something came: what is known of each, and when it was heard of last in ms."""
        key = keys.receipts(self.name)
        found: list[Any] = self.store.command(key, "HGETALL", key)
        pairs = zip(found[::2], found[1::2], strict=True)
        return {keys.text(name): (value, _last_word(value)) for name, value in pairs}

    def drop_source(self, source: str, seen: bytes) -> bool:
        """Forget another queue, unless something came from it since this was seen; tell whether that was done."""
        every_key, args = self.script_keys.received(source), [keys.raw(source), seen]
        return bool(self.store.run(scripts.DROP_SOURCE, every_key, args, doing="forgetting another queue"))


def _named(some: Sequence[Posted]) -> tuple[str, bytes]:
    numbers = "".join([f"{each.number}\n" for each in some])
    return numbers, keys.raw("".join([f"{each.task.id}\n" for each in some]))


def _last_word(value: bytes) -> int:
    return whole(value.rpartition(b" ")[2])
