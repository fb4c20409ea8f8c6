"""Duplicates: what enqueue.lua answers of unique tasks: ids, or the error that says which one is there already. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue import keys
from hotqueue.errors import CorruptEnvelope, DuplicateTask, NewerEnvelope
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.rules import unique
from hotqueue.tasks.wire import envelope


def stored(answer: Sequence[Any], tasks: Sequence[Encoded]) -> list[bool | str]:
    """Return what enqueue.lua answered of each task: whether it is new, or the id of the one that is there before it.

    Raises:
        DuplicateTask: that was a refusal.
    """
    if not answer or answer[0] != b"duplicate":
        return [keys.text(found) if isinstance(found, bytes) else found == 1 for found in answer]
    numbers = [int(number) - 1 for number in answer[1::2]]
    others = [keys.text(task_id) for task_id in answer[2::2]]
    first, other = tasks[numbers[0]], others[0]
    own = {task.id for task in tasks}
    where = "comes twice in what was sent together" if other in own else f"is there already: it is task {other}"
    more = f", and so are {len(numbers) - 1} others" if len(numbers) > 1 else ""
    raise DuplicateTask(
        f"{_what(first.envelope)} {where}{more}; nothing of this was stored. Wait for that one to end, or say "
        "on_conflict='ignore' (to be given its handle) or 'replace' (to take its place while it waits)",
        "" if other in own else other,
        {tasks[number].id: "" if other in own else other for number, other in zip(numbers, others, strict=True)},
    )


def ids_of(found: Sequence[bool | str], tasks: Sequence[Encoded]) -> list[str]:
    """Return under which id each task is known now: its own, or that of the one that was there before it."""
    return [known if isinstance(known, str) else task.id for known, task in zip(found, tasks, strict=True)]


def key_of(data: bytes) -> str | None:
    """Return the unique key in an envelope; None where there is none."""
    try:
        found = unique.read(envelope.decode(data).unique)
    except (CorruptEnvelope, NewerEnvelope):
        return None
    return found.key if found else None


def _what(data: bytes) -> str:
    name = envelope.decode(data).task
    return f"task {name} with {unique.shown(name, key_of(data) or '')}"
