"""Workflows: steps that wait for others: sending them, following what has ended, ending what waits.

How they do is in lua/shared/steps.lua, and docs/decisions/0061; in what order they are sent, in wire/plan.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from hotqueue import keys
from hotqueue.errors import ConfigError, DuplicateTask, QueueFull, UnknownTask
from hotqueue.plurals import plural
from hotqueue.tasks.broker import duplicates, scripts
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.broker.stored_queue import BULK, StoredQueue
from hotqueue.tasks.wire import plan, task_names
from hotqueue.tasks.wire.plan import Lot, Step

OPEN_MS = 60_000  # for which a workflow waits for the next lot of its steps
LOT_BYTES = 8 * 1024 * 1024
WORDS_MS = 3_600_000  # for which it is remembered once its last step is over
DOING = "sending a workflow"


class Workflows(StoredQueue):
    """What is done about the steps of workflows in a queue."""

    def enqueue_plan(self, workflow: str, steps: Sequence[Step], words: bytes = b"", words_ms: int = WORDS_MS) -> None:
        """Store the steps of a workflow; again, with the same ids, it changes nothing.

        Args:
            workflow: its id.
            steps: in an order in which each stands behind what it needs.
            words: what `workflow` returns, until its last step is over, and so many ms longer.

        Raises:
            ConnectionFailed, QueueFull, SerializationError: as `Broker.enqueue`. What was stored of it ends by itself.
            UnknownTask: one of them needs a task that is not there; nothing of its lot was stored.
            DuplicateTask: one of them has an id, or a unique key, that another task has; nothing of its lot was stored.
        """
        for _ in self.sending(workflow, steps, words, words_ms):
            pass

    def sending(self, workflow: str, steps: Sequence[Step], words: bytes = b"", words_ms: int = WORDS_MS) -> Iterator[Lot]:
        """Do as `enqueue_plan`, and yield each lot that was stored."""
        for lot, every_key, args in self._lots(workflow, steps, words, words_ms):
            send = partial(self.store.run, scripts.ENQUEUE_STEPS, every_key, args, DOING, repeatable=True)
            self._check(self.store.repeat(send), lot)
            yield lot

    async def aenqueue_plan(self, workflow: str, steps: Sequence[Step], words: bytes = b"", words_ms: int = WORDS_MS) -> None:
        """Asyncio twin of `enqueue_plan`."""
        for lot, every_key, args in self._lots(workflow, steps, words, words_ms):
            send = partial(self.store.arun, scripts.ENQUEUE_STEPS, every_key, args, doing=DOING)
            self._check(await self.store.arepeat(send), lot)

    def _lots(self, workflow: str, steps: Sequence[Step], words: bytes, words_ms: int) -> list[tuple[Lot, list[str], list[Any]]]:
        found = []
        keeper = steps[-1].id
        for lot in plan.lots(steps, BULK, LOT_BYTES, bool(words)):
            ids = keys.raw("".join([f"{step.id}\n" for step in lot.steps]))
            times = "".join([f"{step.due} {step.expires}\n" for step in lot.steps])
            envelopes = [step.envelope for step in lot.steps]
            told = plan.said(lot, self.name, workflow, OPEN_MS, b"" if lot.is_later else words, words_ms, keeper)
            args = [task_names.lines_of(envelopes), ids, times, *envelopes, self.most_waiting, *told]
            found.append((lot, self.script_keys.enqueue(), args))
        return found

    most_waiting: int | str = ""

    def _check(self, answer: Sequence[Any], lot: Lot) -> None:
        """Raise what the script says is wrong with a lot."""
        first, *rest = answer
        if first == -1:
            raise QueueFull(
                f"queue {self.name!r} has {plural(rest[0], 'task')} waiting, and no room for a workflow of "
                f"{plural(len(lot.steps), 'step')}"
            )
        if not isinstance(first, bytes):
            return
        if first == b"duplicate":
            duplicates.stored(answer, [Encoded(step.id, step.due, step.expires, step.envelope) for step in lot.steps])
        if first == b"late":
            text = (
                f"its steps came more than {OPEN_MS // 1000} s apart, so that it was ended: send it anew, under another task_id"
            )
            raise ConfigError(f"queue {self.name!r} did not take the rest of a workflow: {text} if you gave it one")
        ids = [keys.text(task_id) for task_id in rest]
        if first == b"unknown":
            raise UnknownTask(
                f"a step waits for task {ids[0]}, and there is no such task in queue {self.name!r}, or its result expired"
            )
        raise known_in_part(ids)

    def workflow(self, workflow: str) -> bytes | None:
        """Return what was said of a workflow when it was sent; None when there is none such, or it has been over for long."""
        key = keys.result(self.name, f"workflow:{workflow}")
        found = self.store.repeat(lambda: self.store.command(key, "GET", key))
        return None if found is None else bytes(found)

    def step_states(self, ids: Sequence[str], size: int) -> list[bytes]:
        """Return how some steps are: the first bytes of a record, or a letter: see step_states.lua.

        Args:
            size: how many bytes of a record are wanted.
        """
        found: list[bytes] = []
        for start in range(0, len(ids), BULK):
            args = [self.results, size, *(keys.raw(task_id) for task_id in ids[start : start + BULK])]
            ask = partial(self.store.run, scripts.STEP_STATES, self.script_keys.step_states(), args, doing="looking at steps")
            found += self.store.repeat(ask)
        return found

    def revoke_steps(self, ids: Sequence[str]) -> int:
        """End those of some tasks that wait, revoked; what is in hand does not start any more. Return how many were ended."""
        return self.revoke_many(ids)[0]

    def revoke_many(self, ids: Sequence[str]) -> tuple[int, list[str]]:
        """Do as `revoke_steps`, a thousand in a trip; return the ids as well of those that a worker, or another queue, has."""
        ended, held = 0, list[str]()
        for start in reversed(range(0, len(ids), BULK)):  # the last first: what ended behind others was not revoked
            some = [keys.raw(task_id) for task_id in ids[start : start + BULK]]
            end = partial(
                self.store.run, scripts.REVOKE_STEPS, self.script_keys.revoke_steps(), some, doing="revoking a workflow"
            )
            number, others = self.store.repeat(end)
            ended, held = ended + int(number), [*held, *map(keys.text, others)]
        return ended, held

    def follow(self, most: int = 20) -> int:
        """Follow ends of tasks to the steps behind them, so many portions at most; return how many are left."""
        left, workflow, cursor = 0, b"", b"0"
        for _ in range(most):
            args = [workflow, cursor]
            left, workflow, cursor = self.store.run(scripts.FOLLOW, self.script_keys.follow(), args, doing="following a workflow")
            if not left and not workflow:
                break
        return int(left)


def known_in_part(known: Sequence[str]) -> DuplicateTask:
    """Return the error of a workflow of which some steps have an id that is there, and not all of them have."""
    text = f"task {known[0]} is there already, and others of its workflow are not: give the steps other ids"
    return DuplicateTask(text, known[0], {each: each for each in known})
