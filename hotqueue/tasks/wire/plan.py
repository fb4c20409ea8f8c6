"""Plan: a workflow as it is sent: its steps, what each waits for, and in which order and lots they are sent. Pure.

The last steps are sent first: so whatever a task's end is counted off of is there before that task is. What the steps do, and in
what form a step is given the values of others, is for who makes the plan: see flow.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hotqueue import keys

SUCCESS, ANY_END, FAILURE = "SAF"
_UNQUOTED, _QUOTED = re.compile(rb"[^A-Za-z0-9_.:/-]"), re.compile(rb"%([0-9A-F]{2})")


class Step(NamedTuple):
    """A task that waits for others to end.

    Attributes:
        due: when it may run: "" at once, "+ms" from when its needs are met, or "ms".
        expires: when it is too late for it: "" never, "+ms" from when it is sent, or "ms".
        needs: distinct ids of steps of the plan that stand before it, or of tasks of the queue that were sent earlier.
        when: SUCCESS: when all of them have succeeded; ANY_END: when all have ended, however; FAILURE: as soon as one has
            failed itself, and not at all if none has.
        takes: False where it is given no value of theirs, so that these are not kept for it.
        elsewhere: those of its needs that were sent earlier, and to other queues: with these.
    """

    id: str
    queue: str
    envelope: bytes
    due: str = ""
    expires: str = ""
    needs: Sequence[str] = ()
    when: str = SUCCESS
    takes: bool = True
    elsewhere: Sequence[tuple[str, str]] = ()


class Behind(NamedTuple):
    """A step that waits for some of a lot, or for tasks that were sent earlier.

    Attributes:
        kind: one of `Step.when`.
        part: the number of the part of what it owns that these are; None: it takes nothing of them.
        ids: of what it waits for.
    """

    step: str
    kind: str
    part: int | None
    ids: Sequence[str]


class Lot(NamedTuple):
    """Steps that are sent in one trip.

    Attributes:
        is_later: others were sent before.
        has_more: others are to be sent after it.
    """

    steps: Sequence[Step]
    behind: Sequence[Behind]
    is_later: bool
    has_more: bool


def quoted(queue: str) -> str:
    """Return a queue's name as it stands in rows of scripts: without blanks, newlines, and signs."""
    return _UNQUOTED.sub(lambda found: b"%%%02X" % found[0][0], keys.raw(queue)).decode()


def unquoted(name: bytes) -> str:
    """Return the name of a queue that was quoted."""
    return keys.text(_QUOTED.sub(lambda found: bytes([int(found[1], 16)]), name))


def lots(steps: Sequence[Step], most: int, most_bytes: int, has_words: bool = True) -> list[Lot]:
    """Return what to send, the last steps first.

    Args:
        steps: in an order in which each stands behind what it needs.
        most, most_bytes: of one lot; larger is one that has a single step.
        has_words: the last step owns what there is to say of the plan.
    """
    parts: dict[str, int] = {steps[-1].id: 1} if has_words else {}
    own = {step.id for step in steps}
    followers = _followers(steps)
    cut = list(_cut(steps[::-1], most, most_bytes))
    return [Lot(lot, _behind(lot, own, followers, parts), n > 0, n < len(cut) - 1) for n, lot in enumerate(cut)]


def _followers(steps: Sequence[Step]) -> dict[str, list[Step]]:
    """Return who waits for each step, by the ids of these."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        for need in step.needs:
            found.setdefault(need, []).append(step)
    return found


def _cut(steps: Sequence[Step], most: int, most_bytes: int) -> Iterable[list[Step]]:
    lot: list[Step] = []
    size = 0
    for step in steps:
        if lot and (len(lot) == most or size + len(step.envelope) > most_bytes):
            yield lot
            lot, size = [], 0
        lot.append(step)
        size += len(step.envelope)
    yield lot


def _behind(lot: list[Step], own: set[str], followers: dict[str, list[Step]], parts: dict[str, int]) -> list[Behind]:
    """Return who waits for the steps of a lot, and for which tasks of others they wait themselves."""
    waiting: dict[str, tuple[Step, list[str]]] = {}
    for step in lot:
        for follower in followers.get(step.id, ()):
            waiting.setdefault(follower.id, (follower, []))[1].append(step.id)
        others = [need for need in step.needs if need not in own]
        if others:
            waiting.setdefault(step.id, (step, []))[1].extend(others)
    found = []
    for step, ids in waiting.values():
        part = parts.get(step.id, 0) if step.takes and step.when != FAILURE else None
        if part is not None:
            parts[step.id] = part + 1
        found.append(Behind(step.id, step.when, part, ids))
    return found


def said(lot: Lot, home: str, workflow: str, open_ms: int, words: bytes, words_ms: int, keeper: str) -> list[bytes | str | int]:
    """Return what enqueue.lua is told of a lot, behind its envelopes and how many may wait.

    Args:
        home: the queue that it is sent to; other queues have those of its steps that are theirs from there.
    """
    head: list[bytes | str | int] = [keys.raw(workflow), open_ms if lot.has_more else "", int(lot.is_later)]
    lefts = [f"{len(step.needs)}{'' if step.queue == home else '>' + quoted(step.queue)}\n" for step in lot.steps]
    watched = dict.fromkeys(each for step in lot.steps for each in step.elsewhere if each[1] != home)
    head += [words, words_ms, keys.raw(keeper), "".join(lefts)]
    head.append(keys.raw("".join([f"{task_id}\n{quoted(queue)}\n" for task_id, queue in watched])))
    for each in lot.behind:
        part = "" if each.part is None else each.part
        head += [keys.raw(each.step), each.kind.lower(), part, keys.raw("\n".join(each.ids) + "\n")]
    return head


# --- in the place of a task --------------------------------------------------------------------------------------------


def packed(steps: Sequence[Step], home: str, task_id: str, words: bytes, words_ms: int) -> bytes:
    """Return a plan as it is settled of a task that it takes the place of, see lua/shared/replacing.lua.

    Args:
        home: the task's queue.
        steps: in an order in which each stands behind what it needs; one of them has the id of the task.
        words: what there is to say of it, until the task is over, and so many ms longer.
    """
    lot = Lot(steps, _behind(list(steps), {step.id for step in steps}, _followers(steps), {}), False, False)
    parts: list[bytes | str | int] = [words, words_ms, len(steps)]
    for step in steps:
        parts += [step.id, step.due, step.expires, step.envelope]
    texts = [
        part if isinstance(part, bytes) else keys.raw(str(part))
        for part in (*parts, *said(lot, home, task_id, 0, b"", 0, task_id))
    ]
    return b"".join([len(text).to_bytes(4, "big") + text for text in texts])


def unpacked(data: bytes, home: str) -> tuple[list[Step], bytes]:
    """Return the steps of a plan that was packed, for the queue `home`, and what there is to say of it."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    count = int(parts[2])
    lefts, behind = parts[3 + 4 * count + 6].split(b"\n"), parts[3 + 4 * count + 8 :]
    needs: dict[str, list[str]] = {}
    how: dict[str, tuple[str, bool]] = {}
    for step, kind, own, names in zip(*[iter(behind)] * 4, strict=True):
        needs.setdefault(keys.text(step), []).extend(keys.text(names).split("\n")[:-1])
        how[keys.text(step)] = kind.decode().upper(), own != b""
    found = []
    for n in range(count):
        name, due, expires, envelope = parts[3 + 4 * n : 7 + 4 * n]
        task_id = keys.text(name)
        when, takes = how.get(task_id, (SUCCESS, True))
        queue = unquoted(name) if (name := lefts[n].partition(b">")[2]) else home
        found.append(Step(task_id, queue, envelope, due.decode(), expires.decode(), needs.get(task_id, ()), when, takes))
    return found, parts[0]
