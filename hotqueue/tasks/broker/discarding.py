"""Discarding: dead tasks are thrown away, and for some minutes can be brought back. Why so: docs/decisions/0071."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.schema import Schema
from hotqueue.tasks.broker.stored_queue import BULK

UNDO_MS = 300_000  # for which what was thrown away can be brought back
LATE, STEP, LARGE, THERE, FULL = "late", "step", "large", "there", "full"
WHY_NOT = {  # something cannot
    LATE: "it was not thrown away within the last five minutes",
    STEP: "it was a step of a workflow, and ended what was behind it",
    LARGE: "it is too large to be kept",
    THERE: "a task of this id is there",
    FULL: "the dead list is full",
}


@dataclass
class BroughtBack:
    """What came of bringing tasks back.

    Attributes:
        ids: of those that are in the dead list again.
        refused: id of one that is not → why, of WHY_NOT.
    """

    ids: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class Discarding(Schema):
    """What throws dead tasks away, and brings them back."""

    def discard(self, ids: Sequence[str], mark: str = "") -> int:
        """Throw dead tasks away; return how many were there. See `throw_away`."""
        return self.throw_away(ids, mark)[0]

    def throw_away(self, ids: Sequence[str], mark: str = "") -> tuple[int, int]:
        """Throw dead tasks away; return how many were there, and how many of them can be brought back.

        Args:
            mark: by which these can be told from others that are thrown away; letters and digits.
        """
        count, kept, left = 0, 0, list(ids)
        while left:
            args = [UNDO_MS, mark, *left[:BULK]]
            portion = partial(self.store.run, scripts.DISCARD, self.script_keys.discard(), args, doing="discarding the dead")
            seen, some, back = self.store.repeat(portion)
            count, kept, left = count + some, kept + back, left[seen:]
        return count, kept

    def discarded_ids(self) -> list[str]:
        """Return the ids of what was thrown away and may be brought back, the last ones first."""
        self.check_schema()
        key = keys.discarded(self.name)
        found = self.store.repeat(lambda: self.store.command(key, "ZREVRANGE", key, 0, -1))
        return [keys.text(task_id) for task_id in found]

    def undo_discard(self, ids: Sequence[str], mark: str = "") -> BroughtBack:
        """Bring tasks back into the dead list that were thrown away within UNDO_MS; safe to repeat.

        Args:
            mark: only those that were marked with it.
        """
        found, left = BroughtBack(), list(ids)
        while left:
            seen, back, kept = self.store.repeat(partial(self._undo_some, mark, left[:BULK]))
            found.ids += [keys.text(task_id) for task_id in back]
            words = [keys.text(each) for each in kept]
            found.refused |= zip(words[::2], words[1::2], strict=True)
            left = left[seen:]
        return found

    def _undo_some(self, mark: str, ids: Sequence[str]) -> list[Any]:
        every_key, args = self.script_keys.undo_discard(), [UNDO_MS, mark, *ids]
        return list(self.store.run(scripts.UNDO_DISCARD, every_key, args, doing="bringing dead tasks back"))
