"""What is done at all queues of one server in one trip, however many.

What is done at one is in broker.py and session.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from hotqueue import keys
from hotqueue.errors import HotQueueError
from hotqueue.store import pipeline
from hotqueue.store.scripts import Script
from hotqueue.store.store import Store
from hotqueue.tasks.broker import scripts
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.maintenance import STAYS, Survey, stays
from hotqueue.tasks.broker.session import RECOVERING, Session
from hotqueue.tasks.wire.settlement import Delivery

Failed = HotQueueError | None
Found = list[Delivery] | None | HotQueueError
PROMOTIONS = 10  # calls of `promote` at one queue in one beat, of at most BULK tasks each
LOOKED_AT = 100  # queues of one server that are looked at by one command, to see whether there is anything in any of them
LOOKED_UP = 20_000  # names that one script looks up: others wait for that long
FEW = 10  # queues whose held tasks are handed over by one command; workers that are looked for by their own keys
_OF_WORKERS = ("workers", "worker:", "held:", "bell", "shares:")  # what a queue has of its workers alone


class Share(NamedTuple):
    """What a supervisor is to sweep.

    Attributes:
        now: server time in ms.
        supervisors: how many there are.
        before: number of a queue that is ours now → when it was swept before, -1 for not lately.
    """

    now: int
    supervisors: int
    before: dict[int, int]


def sweep(
    brokers: Sequence[Broker], lease_ms: int, own: Sequence[str], dead: Sequence[str] = (), stay_ms: int = STAYS
) -> list[Survey | HotQueueError]:
    """Renew the leases of `own` workers at queues of one server, and survey these; see `Broker.sweep`.

    Returns:
        One survey a queue, or why there is none; its leases are renewed all the same, if its `workers` key is what it should be.

    Raises:
        ConnectionFailed: the server is away.
    """
    if not brokers:
        return []
    calls = [broker.sweep_call(lease_ms, own, dead, stay_ms) for broker in brokers]
    asked = time.monotonic()
    replies = pipeline.run_all(brokers[0].store, scripts.SWEEP, calls, "renewing leases")
    return [
        reply if isinstance(reply, HotQueueError) else broker.survey(reply, asked)
        for broker, reply in zip(brokers, replies, strict=True)
    ]


def promote(brokers: Sequence[Broker], until: float = 0.0) -> list[Failed]:
    """Move due tasks of queues of one server to ready; return what went wrong, for each.

    Each queue has its turn once, and PROMOTIONS times where there are more: the leases are renewed in between, and workers that
    run out of tasks promote for themselves.

    Args:
        until: no further turns after this moment (monotonic).
    """
    failed: list[Failed] = [None] * len(brokers)
    due = list(range(len(brokers)))  # by number: a queue that was looked for twice is there twice
    for turn in range(PROMOTIONS):
        if not due or (turn and time.monotonic() > until):
            break
        calls = [brokers[n].promote_call() for n in due]
        replies = pipeline.run_all(brokers[0].store, scripts.PROMOTE, calls, "promoting due tasks", at_once=2)
        for n, reply in zip(due, replies, strict=True):
            failed[n] = _failed(reply)
        due = [n for n, reply in zip(due, replies, strict=True) if failed[n] is None and reply[1] == 0]
    return failed


def share(table: Broker, brokers: Sequence[Broker], supervisor: str, counts_ms: int, every_ms: int, in_any_case: int) -> Share:
    """Agree with other supervisors on which queues of one server we sweep now; see `share.lua`.

    Args:
        table: the queue beside which this is agreed on, the same for all.
        brokers: ours.
        supervisor: who we are.
        counts_ms: for how long we count as one of those that sweep.
        every_ms: between two sweeps of a queue.
        in_any_case: how many of the queues we sweep whoever has lately: the first ones.
    """
    args = [supervisor, counts_ms, every_ms, in_any_case, *(broker.name for broker in brokers)]
    now, count, *found = table.store.run(scripts.SHARE, table.script_keys.share(), args, doing="sharing upkeep")
    return Share(int(now), count, {int(n) - 1: int(at) for n, at in zip(found[::2], found[1::2], strict=True)})


def have_schedules(brokers: Sequence[Broker]) -> list[bool]:
    """Tell of queues of one server whether they may have schedules: a hundred are told of together.

    Raises:
        HotQueueError: the server is away.
    """
    store, found = brokers[0].store, []
    at_once = 1 if store.is_cluster else LOOKED_AT
    for start in range(0, len(brokers), at_once):
        every_key = [keys.schedules_next(broker.name) for broker in brokers[start : start + at_once]]
        are_some = store.command(every_key[0], "EXISTS", *every_key, doing="looking for schedules") != 0
        found += [are_some] * len(every_key)
    return found


def need_upkeep(brokers: Sequence[Broker]) -> list[bool]:
    """Tell of queues of one server whether there is anything for upkeep to see to; True where that cannot be read."""
    calls: list[pipeline.Call] = [(broker.script_keys.needs_upkeep(), ()) for broker in brokers]
    replies = _run_where_there_is_any(brokers[0].store, scripts.NEEDS_UPKEEP, calls, "looking for tasks")
    return [reply != 0 for reply in replies]


def are_registered(brokers: Sequence[Broker], workers: Sequence[str]) -> list[bool]:
    """Tell of queues of one server whether any of these workers is registered there; False where that cannot be read."""
    store, every_key, doing = brokers[0].store, [keys.workers(broker.name) for broker in brokers], "looking for dead workers"
    if store.is_cluster and len(workers) <= FEW:  # one that has just died, mostly, and was at none of them
        looks = [("EXISTS", *(keys.worker(broker.name, worker) for worker in workers)) for broker in brokers]
        return [isinstance(count, int) and count > 0 for count in pipeline.ask_all(store, looks, doing)]
    if store.is_cluster:
        wanted = {keys.raw(worker) for worker in workers}
        there = pipeline.ask_all(store, [("ZRANGE", key, 0, -1) for key in every_key], doing)
        return [isinstance(names, list) and not wanted.isdisjoint(names) for names in there]
    found: list[int] = []
    few = max(1, LOOKED_UP // len(workers))
    for start in range(0, len(every_key), few):
        found += store.run(scripts.ARE_REGISTERED, every_key[start : start + few], workers, doing)
    return [count > 0 for count in found]


def register(sessions: Sequence[Session], lease_ms: int, about: dict[str, str], queues: int | None = None) -> list[Failed]:
    """Announce a worker at queues of one server; return what went wrong, for each.

    Args:
        queues: how many it has in all, if these are some of them.
    """
    stay_ms = stays(len(sessions) if queues is None else queues)
    calls = [session.register_call(lease_ms, about, stay_ms) for session in sessions]
    store = sessions[0].broker.store
    return [_failed(reply) for reply in pipeline.run_all(store, scripts.REGISTER, calls, "registering a worker")]


def recover(sessions: Sequence[Session], in_hand: Sequence[Sequence[str]]) -> list[Found]:
    """Find out what a worker holds at queues of one server and has not in hand; return that, or what went wrong, for each."""
    calls = [session.recover_call(ids) for session, ids in zip(sessions, in_hand, strict=True)]
    replies = pipeline.run_all(sessions[0].broker.store, scripts.RECOVER, calls, RECOVERING, at_once=FEW)
    return [
        reply if isinstance(reply, HotQueueError) else session.recovered(reply)
        for session, reply in zip(sessions, replies, strict=True)
    ]


def deregister(brokers: Sequence[Broker], worker: str) -> list[Failed]:
    """Deregister a worker that leaves at queues of one server, and put back what it holds; return what went wrong, for each."""
    calls = [broker.reap_call(worker, known_dead=True) for broker in brokers]
    failed: list[Failed] = []
    for broker, reply in zip(brokers, pipeline.run_all(brokers[0].store, scripts.REAP, calls, "leaving a queue"), strict=True):
        failed.append(_failed(reply))
        if failed[-1] is None and reply[1]:  # it held more than one call puts back
            broker.reap(worker, known_dead=True)
    return failed


def have_wake_tokens(brokers: Sequence[Broker], kind: str) -> list[bool]:
    """Tell of queues of one server whether their bells hold wake tokens; False where that cannot be read."""
    calls: list[pipeline.Call] = [(broker.script_keys.wake_tokens(kind), ()) for broker in brokers]
    replies = _run_where_there_is_any(brokers[0].store, scripts.WAKE_TOKENS, calls, "looking at bells")
    return [isinstance(reply, int) and reply > 0 for reply in replies]


def have_tasks(brokers: Sequence[Broker]) -> list[bool]:
    """Tell of queues of one server whether tasks wait there for a worker of any kind; True where that cannot be read.

    Raises:
        ConnectionFailed: the server is away.
    """
    calls: list[pipeline.Call] = [(broker.script_keys.has_tasks(), ()) for broker in brokers]
    return [reply != 0 for reply in _run_where_there_is_any(brokers[0].store, scripts.HAS_TASKS, calls, "looking for tasks")]


def _run_where_there_is_any(store: Store, script: Script, calls: Sequence[pipeline.Call], doing: str) -> list[Any]:
    """Run a script that reads keys for each queue, 0 where all of a hundred queues have none of them: one command says so."""
    if store.is_cluster:
        return _run_where_there_is_some(store, script, calls, doing)
    replies: list[Any] = []
    for start in range(0, len(calls), LOOKED_AT):
        some = calls[start : start + LOOKED_AT]
        every_key = [key for its_keys, _ in some for key in its_keys]
        if len(some) > 1 and not store.command(every_key[0], "EXISTS", *every_key, doing=doing):
            replies += [0] * len(some)
        else:
            replies += pipeline.run_all(store, script, some, doing)
    return replies


def _run_where_there_is_some(store: Store, script: Script, calls: Sequence[pipeline.Call], doing: str) -> list[Any]:
    """As above, on a Cluster: a command has the keys of one queue there, and is half of what a script and its command are."""
    counts = pipeline.ask_all(store, [("EXISTS", *its_keys) for its_keys, _ in calls], doing)
    there = [n for n, count in enumerate(counts) if count != 0]
    replies: list[Any] = [0] * len(calls)
    for n, reply in zip(there, pipeline.run_all(store, script, [calls[n] for n in there], doing), strict=True):
        replies[n] = reply
    return replies


def in_use(store: Store) -> set[str]:
    """Return the names of the queues in which there is something beside the workers.

    Raises:
        HotQueueError: the server is away, or does not let us list keys.
    """
    found = (keys.text(key) for key in store.scan(f"*{keys.PREFIX}*"))  # never all in memory: there may be millions of results
    return {keys.name_of(key) for key in found if not key.partition("}:")[2].startswith(_OF_WORKERS)}


def _failed(reply: Any) -> Failed:
    return reply if isinstance(reply, HotQueueError) else None
