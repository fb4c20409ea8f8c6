"""The workers of many queues, read together: each once, in a few trips, with the first of what each has in hand. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.monitor.crowd import ask
from hotqueue.monitor.workers import InHand, Worker, worker_of
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker import holds, scripts
from hotqueue.tasks.broker.script_keys import ScriptKeys
from hotqueue.tasks.broker.stored_queue import instant
from hotqueue.tasks.wire.preview import preview

SHOWN = 5  # tasks in hand that are named, of each worker
NAMED = 1000  # and of all of them

Pair = tuple[str, str]  # a queue and a worker


def crew(store: Store, queues: Sequence[str], refused: list[str]) -> list[Worker]:
    """Return the workers of some queues, those of one program together.

    Args:
        refused: gets a sentence for each queue that cannot be read.
    """
    found: dict[str, Worker] = {}
    busy = _registered(store, queues, found, refused)
    _read(store, found)
    known = [pair for pair in busy if found[pair[1]].host]
    _note_in_hand(store, known, found)
    return sorted((each for each in found.values() if each.host), key=lambda each: (each.shown, each.program, each.kind, each.id))


def _registered(store: Store, queues: Sequence[str], found: dict[str, Worker], refused: list[str]) -> list[Pair]:
    """Take in who is registered where; return where workers have something in hand."""
    if not queues:
        return []
    now = _now(store, queues[0])
    busy: list[Pair] = []
    doing = "looking who works at the queues"
    for queue, reply in zip(
        queues, ask(store, [("ZRANGE", keys.workers(q), 0, -1, "WITHSCORES") for q in queues], doing), strict=True
    ):
        if isinstance(reply, HotQueueError):
            refused.append(f"workers of queue {queue!r:.80}: {reply}")
            continue
        for name, score in zip(reply[::2], reply[1::2], strict=True):
            worker, until = keys.text(name), instant(score)
            each = found.get(worker) or found.setdefault(worker, Worker(worker))
            each.queues.append(queue)
            each.is_overdue |= abs(until) < now
            if until > 0:
                busy.append((queue, worker))
    return busy


def _now(store: Store, queue: str) -> int:
    seconds, micros = store.repeat(lambda: store.command(keys.workers(queue), "TIME"))
    return int(seconds) * 1000 + int(micros) // 1000


def _read(store: Store, found: dict[str, Worker]) -> None:
    """Read what workers say of themselves, each at the first of its queues."""
    asked = [("HGETALL", keys.worker(worker.queues[0], name)) for name, worker in found.items()]
    for worker, reply in zip(list(found.values()), ask(store, asked, "asking what workers say of themselves"), strict=True):
        if isinstance(reply, Exception) or not reply:
            continue  # it left just now
        said = {keys.text(name): keys.text(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}
        made = worker_of(worker.id, said)
        made.queues, made.is_overdue = worker.queues, worker.is_overdue
        found[worker.id] = made


def _note_in_hand(store: Store, busy: Sequence[Pair], found: dict[str, Worker]) -> None:
    held = ask(store, [("HGETALL", keys.held(queue, worker)) for queue, worker in busy], "looking what workers have in hand")
    named: dict[str, dict[str, str]] = {}  # queue → id → worker
    left = NAMED
    for (queue, worker), reply in zip(busy, held, strict=True):
        if isinstance(reply, Exception):
            continue
        ids = holds.ids_in(zip(reply[::2], reply[1::2], strict=True))
        some = ids[: max(0, min(left, SHOWN - min(SHOWN, found[worker].held)))]
        found[worker].held += len(ids)
        left -= len(some)
        named.setdefault(queue, {}).update(dict.fromkeys(some, worker))
    _name(store, {queue: some for queue, some in named.items() if some}, found)


def _name(store: Store, named: dict[str, dict[str, str]], found: dict[str, Worker]) -> None:
    """Note which tasks these are."""
    calls: list[pipeline.Call] = [(ScriptKeys(queue).glimpse(), list(ids)) for queue, ids in named.items()]
    if not calls:
        return
    replies = store.repeat(partial(pipeline.run_all, store, scripts.GLIMPSE, calls, "looking which tasks run"))
    for (queue, ids), reply in zip(named.items(), replies, strict=True):
        if isinstance(reply, Exception):
            continue  # who may only read sees how many they are
        for (task_id, worker), envelope in zip(ids.items(), reply[1::2], strict=False):
            if envelope:
                found[worker].in_hand.append(InHand(task_id, preview(envelope).task, queue))
