"""The workers of many queues, read together: each once, in a few trips, with the first of what each has in hand. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hotqueue import keys
from hotqueue.monitor.crowd import ask, keys_of, registered_in, run
from hotqueue.monitor.workers import InHand, Worker, worker_of
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker import holds, scripts
from hotqueue.tasks.wire.preview import preview

SHOWN = 5  # tasks in hand that are named, of each worker
NAMED = 1000  # and of all of them
_CHANGES = ("since", "lease")  # of what a worker says of itself; the rest stays as it was when it registered

Pair = tuple[str, str]  # a queue and a worker


@dataclass
class Known:
    """What was read for the last look, and need not be read again.

    Attributes:
        said: what workers say of themselves, by their ids.
        named: tasks that workers have in hand, by queue and id.
    """

    said: dict[str, dict[str, str]] = field(default_factory=dict)
    named: dict[Pair, InHand] = field(default_factory=dict)


def crew(store: Store, registered: Mapping[str, bytes], known: Known | None = None) -> list[Worker]:
    """Return the workers of some queues, those of one program together.

    Args:
        registered: of each queue, who works there, as `crowd.look` has it.
        known: of the last look; takes in what this one reads.
    """
    known = Known() if known is None else known
    found: dict[str, Worker] = {}
    busy = _registered(store, registered, found)
    found = _read(store, found, known)
    _note_in_hand(store, [pair for pair in busy if pair[1] in found], found, known)
    return sorted(found.values(), key=lambda each: (each.shown, each.program, each.kind, each.id))


def _registered(store: Store, registered: Mapping[str, bytes], found: dict[str, Worker]) -> list[Pair]:
    """Take in who is registered where; return where workers have something in hand."""
    some = {queue: lines for queue, lines in registered.items() if lines}
    if not some:
        return []
    now = _now(store, next(iter(some)))
    busy: list[Pair] = []
    by_name: dict[bytes, Worker] = {}  # as the server has it: a worker stands in many queues
    for queue, lines in some.items():
        for name, until in registered_in(lines):
            if (each := by_name.get(name)) is None:
                each = by_name[name] = found.setdefault(keys.text(name), Worker(keys.text(name)))
            each.queues.append(queue)
            if until > 0:
                busy.append((queue, each.id))
            if abs(until) < now:
                each.is_overdue = True
    return busy


def _now(store: Store, queue: str) -> int:
    seconds, micros = store.repeat(lambda: store.command(keys.workers(queue), "TIME"))
    return int(seconds) * 1000 + int(micros) // 1000


def _read(store: Store, found: Mapping[str, Worker], known: Known) -> dict[str, Worker]:
    """Return those that are there, with what they say of themselves, read at the first queue of each."""
    asked = [
        ("HMGET", key, *_CHANGES) if name in known.said else ("HGETALL", key)
        for name, key in ((name, keys.worker(worker.queues[0], name)) for name, worker in found.items())
    ]
    said, there = dict[str, dict[str, str]](), dict[str, Worker]()
    for worker, reply in zip(found.values(), ask(store, asked, "asking what workers say of themselves"), strict=True):
        if isinstance(reply, Exception) or not any(reply):
            continue  # it left just now
        before = known.said.get(worker.id)
        parts = list(map(keys.text, reply)) if before is None else [keys.text(each or b"") for each in reply]
        told = (
            dict(zip(parts[::2], parts[1::2], strict=True))
            if before is None
            else before | dict(zip(_CHANGES, parts, strict=True))
        )
        made = worker_of(worker.id, told)
        if made.host:
            said[worker.id], there[worker.id] = told, made
            made.queues, made.is_overdue = worker.queues, worker.is_overdue
    known.said = said
    return there


def _note_in_hand(store: Store, busy: Sequence[Pair], found: dict[str, Worker], known: Known) -> None:
    held = ask(store, [("HGETALL", keys.held(queue, worker)) for queue, worker in busy], "looking what workers have in hand")
    named: dict[Pair, str] = {}  # a queue and an id → the worker
    left = NAMED
    for (queue, worker), reply in zip(busy, held, strict=True):
        if isinstance(reply, Exception):
            continue
        ids = holds.ids_in(zip(reply[::2], reply[1::2], strict=True))
        some = ids[: max(0, min(left, SHOWN - min(SHOWN, found[worker].held)))]
        found[worker].held += len(ids)
        left -= len(some)
        named.update({(queue, task_id): worker for task_id in some})
    known.named = _named(store, list(named), known)
    for pair, worker in named.items():
        if pair in known.named:
            found[worker].in_hand.append(known.named[pair])


def _named(store: Store, wanted: Sequence[Pair], known: Known) -> dict[Pair, InHand]:
    """Return which tasks these are; what is read is cut at a size, so some may be left for the next look."""
    there = {pair: known.named[pair] for pair in wanted if pair in known.named}
    new: dict[str, list[str]] = {}
    for queue, task_id in wanted:
        if (queue, task_id) not in there:
            new.setdefault(queue, []).append(task_id)
    calls: list[pipeline.Call] = [(keys_of(queue).glimpse(), ids) for queue, ids in new.items()]
    replies = run(store, scripts.GLIMPSE, calls, "looking which tasks run")
    for (queue, ids), reply in zip(new.items(), replies, strict=True):
        if isinstance(reply, Exception):
            continue  # who may only read sees how many they are
        for task_id, envelope in zip(ids, reply[1::2], strict=False):
            if envelope:
                there[queue, task_id] = InHand(task_id, preview(envelope).task, queue)
    return there
