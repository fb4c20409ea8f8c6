"""Crossing: what queues have to say to each other of workflows: steps that run in others, what these take along, how they ended.

It goes by the outbox, see posting.py, as what lua/shared/abroad.lua calls messages; why it is so: docs/decisions/0066.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from hotqueue import keys
from hotqueue.errors import SerializationError
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.posting import Posted
from hotqueue.tasks.broker.stored_queue import StoredQueue
from hotqueue.tasks.wire import envelope, plan

HEARD_AT_ONCE = 250  # messages that one script does; some 15 commands each
RECORDS_AT_ONCE = 250  # that are read, or brought along, in one trip
_MARK, _STEP = b"\0", b"\0p"  # what a message begins with, where a task has its envelope; one that brings a step


class Heard(NamedTuple):
    """What became of messages.

    Attributes:
        answers: for each, as of `Posting.receive`.
        highest: the highest number that ever came from there.
        has_posted: there is something for that queue in the outbox of this one.
        has_others: there is something for others.
    """

    answers: list[int]
    highest: int
    has_posted: bool
    has_others: bool


class Input(NamedTuple):
    """What a step takes of another task: that one's record; None: it ended without."""

    id: str
    record: bytes | None


def is_message(each: Posted) -> bool:
    """Tell whether what was posted is no task."""
    return each.task.envelope[:1] == _MARK


def is_step(each: Posted, task_id: str) -> bool:
    """Tell whether what was posted brings that step."""
    return each.task.envelope[:2] == _STEP and each.task.id.partition(" ")[2] == task_id


def needs_of(each: Posted) -> list[str]:
    """Return the ids of the tasks of which something goes along with a message."""
    if each.task.envelope[:2] != _STEP:
        return []
    try:
        return list(envelope.decode(each.task.envelope[2:]).flow.get("needs", ()))
    except SerializationError:  # whoever is to run it says so
        return []


class Crossing(StoredQueue):
    """What queues say to each other of workflows."""

    def inputs(self, ids: Sequence[str]) -> list[Input]:
        """Return what steps of this queue's workflows take of tasks; nothing of those of which nothing is there."""
        found: dict[str, bytes | None] = {}
        owned = keys.owned(self.name)
        for start in range(0, len(ids), RECORDS_AT_ONCE):
            some = ids[start : start + RECORDS_AT_ONCE]
            every_key = [keys.result(self.name, task_id) for task_id in some]
            records = self.store.repeat(partial(self.store.command, every_key[0], "MGET", *every_key))
            found.update({task_id: data for task_id, data in zip(some, records, strict=True) if data is not None})
            missing = [task_id for task_id in some if task_id not in found]
            if missing:
                entries = self.store.repeat(partial(self.store.command, owned, "HMGET", owned, *map(keys.raw, missing)))
                for task_id, entry in zip(missing, entries, strict=True):
                    if entry is not None and entry.split(b"\n")[0].endswith(b" x"):
                        found[task_id] = None
        return [Input(*each) for each in found.items()]

    def ask_again(self) -> None:
        """Have other queues tell once more how those of their tasks end that steps here wait for: what they told may be lost."""
        cursor: bytes = b"0"
        while True:
            args = [cursor]
            cursor = self.store.run(scripts.ASK_AGAIN, self.script_keys.ask_again(), args, doing="asking other queues")
            if cursor == b"0":
                return

    def hear(
        self,
        source: str,
        some: Sequence[Posted],
        needs: Sequence[Sequence[str]],
        inputs: Sequence[Input] = (),
        part: int = 0,
        has_more: bool = False,
    ) -> Heard:
        """Do what another queue has posted: all that is left there, from the lowest number on up to some.

        Args:
            needs: of each, what it takes.
            inputs: what there is of these.
            part: the number of this part of the inputs of a single step.
            has_more: more of them are to come, so that it does not begin.
        """
        known = {each.id: "D" if each.record is None else "R" for each in inputs}
        args: list[bytes | str | int] = [keys.raw(source), some[0].number, "\n".join([str(each.number) for each in some])]
        args += [keys.raw("".join([f"{each.task.id}\n" for each in some])), plan.quoted(source), int(has_more)]
        for each, ids in zip(some, needs, strict=True):
            own = [task_id for task_id in ids if task_id in known]
            names = keys.raw("".join([f"{task_id}\n" for task_id in own]))
            letters = "".join([known[task_id] for task_id in own])
            args += [each.task.due, each.task.expires, each.task.envelope, part, names, letters]
        for each_input in inputs:
            if each_input.record is not None:
                args += [keys.raw(each_input.id), each_input.record]
        hear = partial(
            self.store.run, scripts.HEAR, self.script_keys.hear(source), args, "hearing another queue", repeatable=True
        )
        *answers, highest, has_posted, targets = self.store.repeat(hear)
        return Heard(answers, int(highest), bool(has_posted), targets > has_posted)
