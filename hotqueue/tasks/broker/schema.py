"""Schema: which forms a queue's rows may have: reading that number, going up, refusing what is newer than we are.

Scripts refuse by themselves (lua/shared/schema.lua); here is what single commands ask first. Why it is so: docs/decisions/0042.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hotqueue import keys
from hotqueue.errors import newer_queue
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue

MOST = 32  # schemas that there may be: so many times keys.NUMBERS is what the places of a priority have


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What `Schema.upgrade` did.

    Attributes:
        before, now: the queue's schema.
        older: the workers there that do not know the new one; they settle what they hold, and fetch no more.
    """

    before: int
    now: int
    older: list[str]


class Schema(StoredQueue):
    """The schema of a queue."""

    def schema(self) -> int:
        """Return the queue's schema, which may be one that this version does not know; 1 where it was never upgraded."""
        higher = [keys.schema(self.name, number) for number in range(2, MOST + 1)]  # counted, for whoever may read no values
        ask = partial(self.store.command, higher[0], "EXISTS", *higher, doing=f"reading the schema of queue {self.name!r}")
        return 1 + int(self.store.repeat(ask))

    def check_schema(self) -> None:
        """Raise NewerQueue where the queue is of a schema that this version does not know."""
        schema = self.schema()
        if schema > keys.SCHEMA:
            raise newer_queue(self.name, schema, keys.SCHEMA)

    def upgrade(self) -> Upgraded:
        """Take the queue to the schema of this version; done again, or where it is there already, it changes nothing.

        Raises:
            NewerQueue: it is at one that this version does not know.
        """
        go_up = partial(self.store.run, scripts.UPGRADE, self.script_keys.upgrade(), [], doing="upgrading a queue")
        before, *older = self.store.repeat(go_up)
        return Upgraded(int(before), keys.SCHEMA, [keys.text(worker) for worker in older])
