"""Duplicates: what enqueue.lua answers of unique tasks: ids, or the error that says which one is there already. No I/O.

Also what is said of tasks that were sent together, and of which only some were stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hotqueue import keys
from hotqueue.errors import CorruptEnvelope, DuplicateTask, NewerEnvelope, NotTaken, QueueFull
from hotqueue.plurals import plural, word
from hotqueue.tasks.broker.encoded import Encoded
from hotqueue.tasks.rules import unique
from hotqueue.tasks.wire import envelope

NONE_SENT, NONE_STORED = "not sent", "nothing of this was stored"  # as errors have it of what was sent together


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
    more = f", and so {'are' if len(numbers) > 2 else 'is'} {len(numbers) - 1} more" if len(numbers) > 1 else ""
    raise DuplicateTask(
        f"{_what(first.envelope)} {where}{more}; {NONE_STORED}. Wait for that one to end, or say "
        "on_conflict='ignore' (to be given its handle) or 'replace' (to take its place while it waits)",
        "" if other in own else other,
        {tasks[number].id: "" if other in own else other for number, other in zip(numbers, others, strict=True)},
    )


def partly_stored(error: QueueFull | DuplicateTask, stored: int, count: int) -> QueueFull | DuplicateTask:
    """Return what to raise where so many of `count` tasks had been stored before an error that speaks of none."""
    if not stored:
        return error
    told = f"{stored} of the {count} sent together {word(stored, 'was', 'were')} stored, the others not"
    said = next((said for said in (NONE_SENT, NONE_STORED) if said in str(error)), "")
    text = str(error).replace(said, told, 1) if said else f"{error}; {told}"
    return DuplicateTask(text, error.task_id, error.ids) if isinstance(error, DuplicateTask) else QueueFull(text)


def not_taken(refused: Mapping[str, BaseException], count: int) -> NotTaken:
    """Return what to raise where the server refused some of `count` tasks for what they are: id → why."""
    why = next(iter(refused.values()))
    told = f"{len(refused)} of {plural(count, 'task')} {word(len(refused), 'was', 'were')} refused, the others were sent"
    made = NotTaken(f"{told}: {why}", set(refused))
    made.__cause__ = why
    return made


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
