"""Settlement: what step.lua carries out for one task, of a decided Action; Delivery: one fetched task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from hotqueue import keys
from hotqueue.signing import Signer
from hotqueue.tasks.rules.history import History, error_line
from hotqueue.tasks.rules.lifecycle import Action, Do, State
from hotqueue.tasks.rules.options import TaskOptions
from hotqueue.tasks.wire import exceptions, payload, record
from hotqueue.tasks.wire.envelope import Envelope

CHUNK = 100  # tasks of a fetch that are held in one record; as in lua/shared/holds.lua


class Settlement(NamedTuple):
    """What step.lua carries out for one task.

    Attributes:
        id: of the task.
        number: what it is held as, see `Delivery`; "*": whatever it is.
        code: see step.lua.
        blob: the record of how it ended; b"" where there is none; of one that is replaced, the plan, see plan.py.
        ms: milliseconds to keep the record, or until the next try.
        extra: what the code needs besides; of an end that is none of the dead, what it sends to other queues: see outgoing.py.
    """

    id: str
    number: int | str
    code: str
    blob: bytes | str
    ms: int
    extra: str

    @property
    def size(self) -> int:
        """Bytes that it takes on the wire, roughly."""
        return len(self.blob) + len(self.extra)


@dataclass(slots=True)
class Delivery:
    """One fetched task.

    Attributes:
        number: the fetch that brought it; with the worker's incarnation, the fence.
        origin: "s" or "a": the ready set it came from; "x" or "y": one of either kind from the suspects.
        history: undecoded; b"" for a task to which nothing has happened.
        held_as: the record in which it is held: the number of the fetch, and from its second chunk on which one; 0: the number.
        inputs: of a step of a workflow, once they were read: the records of the tasks whose values it takes, by their ids.
        read: its envelope, where somebody has decoded it; unverified.
        head_bytes: how much of `data` is in front of the payload; 0: it could not be read.
        began, took: when it was started, by the monotonic clock, and for how many seconds it ran; 0.0: it was not.
        error: what it ended with, in a line.
    """

    id: str
    number: int
    origin: str
    history: bytes
    data: bytes
    held_as: int | str = 0
    inputs: dict[str, bytes | None] | None = None
    read: Envelope | None = None
    head_bytes: int = 0
    began: float = 0.0
    took: float = 0.0
    error: str = ""


def of(action: Action, delivery: Delivery, history: History, options: TaskOptions, now: int, signer: Signer | None) -> Settlement:
    """Return what to send for an action.

    Args:
        now: server time in ms.
    """
    do, number, task_id = action.do, delivery.held_as or delivery.number, delivery.id
    if do is Do.SUCCEED:
        return succeeded(delivery, action.payload, history.retries, options, now, signer)
    if do is Do.RETRY:
        line = _error_line(action, now)
        if line is not None:
            line["due"] = now + max(0, int(action.delay * 1000))
        return Settlement(task_id, number, "R", b"", max(0, int(action.delay * 1000)), history.after_retry(line).encode())
    if do in (Do.END, Do.BURY):
        assert action.error is not None
        error = action.error_payload or payload.dumps_error(action.error)
        blob = record.encode(action.state or State.FAILURE, history.retries, now, error, task_id, signer)
        extra = _dead_entry(error, history, now) if do is Do.BURY else ""
        return Settlement(task_id, number, do.value, blob, _ttl(options), extra)
    if do is Do.REPLACE:
        return Settlement(task_id, number, do.value, action.payload, 0, "")
    return Settlement(task_id, number, do.value, b"", 0, action.need)


def succeeded(
    delivery: Delivery, value: bytes, retries: int, options: TaskOptions, now: int, signer: Signer | None
) -> Settlement:
    """Return what to send for a success; apart, because every task takes this path.

    Args:
        value: pickled; b"" where none is kept.
    """
    if not value:
        return Settlement(delivery.id, delivery.held_as or delivery.number, "X", b"", 0, "")
    blob = record.encode(State.SUCCESS, retries, now, value, delivery.id, signer)
    # Where the task is to have none, it is owned: it stays until it is let go of.
    ms = 0 if options.ignore_result or not options.result_expires else _ttl(options)
    return Settlement(delivery.id, delivery.held_as or delivery.number, "S", blob, ms, "")


def put_back(delivery: Delivery, counted_at: int = 0) -> Settlement:
    """Return what to send to put an unstarted task back at its place, uncharged.

    Args:
        counted_at: when it was fetched, in server time (ms), so that its start is not counted; 0: not known.
    """
    return Settlement(delivery.id, delivery.held_as or delivery.number, "P", b"", 0, str(counted_at or ""))


def apart(action: Settlement) -> tuple[Settlement, Settlement]:
    """Return what to send to have an ended task stay held, and to settle its outcome meanwhile, or later.

    The first counts it out of its fetch, so that it is not taken back with what that fetch has left unstarted.
    """
    return Settlement(action.id, action.number, "L", b"", 0, ""), action._replace(number="*")


def _ttl(options: TaskOptions) -> int:
    return max(1, int(options.result_expires * 1000))


def _error_line(action: Action, now: int) -> dict[str, object] | None:
    if action.error is None:
        return None
    return error_line("error", f"{exceptions.class_path(action.error)}: {exceptions.message_of(action.error)}", now)


def _dead_entry(error: bytes, history: History, now: int) -> str:
    path, message, trace = payload.describe_error(error)
    entry = {
        "error": path,
        "message": message,
        "traceback": trace,
        "retries": history.retries,
        "deliveries": history.deliveries,
        "shared_deaths": history.shared,
        "hosts_lost": history.lost,
        "errors": [*history.errors, error_line("error", f"{path}: {message}", now)],
    }
    return json.dumps(entry, separators=(",", ":"))


_ALIKE = itemgetter(1, 2, 4, 5)  # all but a settlement's id and blob
RECORDS = frozenset("SED")  # the codes that bring one
_WITH_BLOB = frozenset("SEDN")


def runs(settlements: Sequence[Settlement]) -> list[bytes]:
    """Return settlements as step.lua takes them: those that are alike but for their ids and blobs make up a run.

    Of each: code, number, ms, extra, ids (each with a newline behind it), and the blobs, where the code has some.
    """
    found: list[bytes] = []
    by_kind: dict[tuple[int | str, str, int, str | bytes], list[Settlement]] = {}
    for each in settlements:
        by_kind.setdefault(_ALIKE(each), []).append(each)
    for (number, code, ms, extra), run in by_kind.items():
        ids = keys.raw("\n".join([each[0] for each in run]) + "\n")
        found += (code.encode(), raw_of(number), b"%d" % ms, raw_of(extra), ids)
        if code in _WITH_BLOB:
            found += [raw_of(each[3]) for each in run]
    return found


def raw_of(part: bytes | str | int) -> bytes:
    if isinstance(part, bytes):
        return part
    return keys.raw(part) if isinstance(part, str) else b"%d" % part
