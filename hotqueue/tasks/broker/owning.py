"""Owning: how long results stay: those that tasks own stay until these are over, the others until their time is.

Who owns what is for those who call this to say. See docs/decisions/0043.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.stored_queue import StoredQueue

# What `own` says of a task: its result is there; it has not ended; it ended without a result; it is dead, and its result has
# expired; it is not known, or its result has expired.
THERE, TO_COME, WITHOUT, DEAD, UNKNOWN = "RTDXU"


class Owning(StoredQueue):
    """What is done about the results of a queue, beside reading them."""

    def own(self, owner: str, ids: Sequence[str], *, part: int = 0, must_exist: bool = True) -> tuple[str, bool]:
        """Have a task own results: they stay, beyond their own time, until it has ended and cannot be retried.

        May be said before they are there, and again. A result that is owned is stored though its task is to have none.

        Args:
            owner: a task that has not ended, or is dead.
            ids: tasks of the same queue, at most 1,000; more in further parts.
            part: 0, 1, 2 …; each is said once.
            must_exist: False: they may be sent later.

        Returns:
            A letter for each (THERE …), and whether it owns them all: False when there is no such owner, or one has to exist
            and is neither there nor to come.

        Raises:
            ConfigError: that part of what it owns is something else, or the one before is missing.
        """
        names = keys.raw("\n".join(ids) + "\n")
        args = [self.results, keys.raw(owner), part, int(must_exist), names]
        own = partial(self.store.run, scripts.OWN, self.script_keys.own(), args, doing="keeping results for a task")
        states, is_so = self.store.repeat(own)
        return states.decode(), bool(is_so)

    def let_go(self, most: int = 100) -> int:
        """Let go of results whose owners are over, in so many portions at most, of up to 1,000; return how many are left."""
        left = most
        for _ in range(most):
            left = int(self.store.run(scripts.LET_GO, self.script_keys.let_go(), [], doing="letting go of results"))
            if not left:
                break
        return left

    def mend_owners(self) -> int:
        """Let go of results whose owners are no tasks any more, as others at our keys bring about; return how many owners."""
        ended, cursor = 0, b"0"
        while True:
            args = [cursor]
            cursor, some = self.store.run(scripts.MEND_OWNERS, self.script_keys.mend_owners(), args, doing="looking at owners")
            ended += int(some)
            if cursor == b"0":
                return ended

    def forget(self, task_id: str) -> None:
        """Remove the stored record of a task; one that another task owns stays until that lets go of it."""
        every_key = self.script_keys.forget(task_id)
        self.store.repeat(lambda: self.store.run(scripts.FORGET, every_key, [keys.raw(task_id)], doing="forgetting a result"))
