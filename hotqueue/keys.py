"""Every Redis key hotqueue uses, one pure function each. No I/O.

The plain list of queue N is ``hotqueue:N``; all else of it is ``{hotqueue:N}:<thing>``. The hash tag equals the plain key, so all
keys of a queue share one Cluster slot. Partitions, which are to come, are named ``{hotqueue/…``: docs/decisions/0047.
"""

from __future__ import annotations

from hotqueue.dead_keys import dead as dead
from hotqueue.dead_keys import dead_bytes as dead_bytes
from hotqueue.dead_keys import dead_tasks as dead_tasks
from hotqueue.dead_keys import discarded as discarded
from hotqueue.dead_keys import discarded_tasks as discarded_tasks
from hotqueue.gate_keys import blocked as blocked
from hotqueue.gate_keys import gated as gated
from hotqueue.gate_keys import lane as lane
from hotqueue.gate_keys import lanes as lanes
from hotqueue.gate_keys import paused_keys as paused_keys
from hotqueue.gate_keys import slots as slots
from hotqueue.gate_keys import starts as starts
from hotqueue.gate_keys import timers as timers
from hotqueue.gate_keys import turns as turns
from hotqueue.names import PREFIX as PREFIX
from hotqueue.names import check_name as check_name
from hotqueue.names import key_of as _of
from hotqueue.names import name_of as name_of
from hotqueue.names import names_of as names_of
from hotqueue.schedule_keys import declarers as declarers
from hotqueue.schedule_keys import schedule_states as schedule_states
from hotqueue.schedule_keys import schedules as schedules
from hotqueue.schedule_keys import schedules_next as schedules_next
from hotqueue.statistics_keys import accounts as accounts
from hotqueue.statistics_keys import deploys as deploys
from hotqueue.statistics_keys import ended as ended
from hotqueue.statistics_keys import enqueued as enqueued
from hotqueue.statistics_keys import statistics as statistics
from hotqueue.statistics_keys import stats as stats
from hotqueue.step_keys import dead_steps as dead_steps
from hotqueue.step_keys import steps as steps
from hotqueue.step_keys import steps_open as steps_open
from hotqueue.step_keys import steps_reported as steps_reported
from hotqueue.step_keys import steps_todo as steps_todo
from hotqueue.utf8 import raw as raw
from hotqueue.utf8 import text as text

# The forms of what stands in these keys, as this version knows them: a form that an older version cannot read, or would lose
# something of, takes the next number. What there is to do then: CONTRIBUTING.md, "When a form changes".
SCHEMA = 1
NUMBERS = 2**40  # places that are given in one schema; so an enqueue sees by the number that it gets whether its queue is newer


def queue(name: str) -> str:
    """List: the raw messages."""
    return f"{PREFIX}{name}"


def consuming(name: str, consumer: str) -> str:
    """List: the one message that a consumer holds."""
    return _of(name, f"consuming:{consumer}")


def consumers(name: str) -> str:
    """Sorted set: consumer → lease deadline in ms."""
    return _of(name, "consumers")


def consumer(name: str, consumer: str) -> str:
    """Hash: where a consumer's presence file is."""
    return _of(name, f"consumer:{consumer}")


def came_back(name: str) -> str:
    """Hash: digest of a message → how often its holder died or raised."""
    return _of(name, "came-back")


def dead_messages(name: str) -> str:
    """List: messages that came back too often."""
    return _of(name, "dead-messages")


def taken(name: str, mark: str) -> str:
    """List with TTL: number of the last asyncio get under this mark, and the message it removed (none: it was refused)."""
    return _of(name, f"taken:{mark}")


def tasks(name: str) -> str:
    """Hash: id → envelope of every unfinished task; a task exists iff it is here."""
    return _of(name, "tasks")


def attempts(name: str) -> str:
    """Hash: id → retries, deliveries, where parked, shared deaths, last errors; only of tasks to which something has happened."""
    return _of(name, "attempts")


def checkpoints(name: str) -> str:
    """Hash with TTL: id → what a task has kept for its next run, until nobody can retry it; see docs/decisions/0064."""
    return _of(name, "checkpoints")


def seq(name: str) -> str:
    """String: counter behind the places."""
    return _of(name, "seq")


def schema(name: str, number: int) -> str:
    """String: the queue's schema; there is one for each number from 2 up to that, and none of a queue whose schema is 1."""
    return _of(name, f"schema:{number}")


def ready(name: str) -> str:
    """Sorted set: id → place, sync tasks."""
    return _of(name, "ready")


def ready_async(name: str) -> str:
    """Sorted set: id → place, `async def` tasks."""
    return _of(name, "ready:async")


def suspects(name: str) -> str:
    """Sorted set: id → place, tasks that may have killed a process, and run in quarantine."""
    return _of(name, "suspects")


def claims(name: str) -> str:
    """Sorted set with TTL: supervisor that is about to start a quarantine process → until when in ms."""
    return _of(name, "claims")


def needs(name: str) -> str:
    """Set: what parked tasks wait for; one `parked` key exists for each member."""
    return _of(name, "needs")


def parked(name: str, need: str) -> str:
    """Sorted set: id → place, tasks that wait for a worker able to run them."""
    return _of(name, f"parked:{need}")


def unique(name: str) -> str:
    """Hash: key → the task that is the only one under it, and the one that waits behind that; see docs/decisions/0053."""
    return _of(name, "unique")


def behind(name: str) -> str:
    """Sorted set: id → place, tasks that wait behind the one that has their unique key; parked, but for no worker."""
    return parked(name, "unique")


def scheduled(name: str) -> str:
    """Sorted set: id → due time in ms; and a newline, which is no id → when the first of `timers` is due."""
    return _of(name, "scheduled")


def large(name: str) -> str:
    """Set: ids of unfinished tasks of more than 16 KB: while there are any, fetches look at sizes before they read."""
    return _of(name, "large")


def expiring(name: str) -> str:
    """Sorted set: id → its `expires` in ms, of unfinished tasks that have one; later for one that a worker has in hand."""
    return _of(name, "expiring")


def held(name: str, worker: str) -> str:
    """Hash: number of a fetch → a record of what a worker has of it and has not finished: each task's id, origin and place."""
    return _of(name, f"held:{worker}")


def workers(name: str) -> str:
    """Sorted set: worker → lease deadline in ms; of one that holds nothing, minus when its registration ends."""
    return _of(name, "workers")


def worker(name: str, worker: str) -> str:
    """Hash: host, folder of its presence file, last fetch number, ms of its leases, what it is."""
    return _of(name, f"worker:{worker}")


def shares(name: str, what: str) -> str:
    """Sorted set with TTL, of the first of queues with common upkeep: queue → when swept in ms; who sweeps → until when in ms."""
    return _of(name, f"shares:{what}")


def bell(name: str) -> str:
    """List: a few wake tokens; idle workers block on it."""
    return _of(name, "bell")


def bell_async(name: str) -> str:
    """List: wake tokens for the workers of `async def` tasks."""
    return _of(name, "bell:async")


def result(name: str, task_id: str) -> str:
    """String with TTL, or an owner in `owned`: the outcome."""
    return _of(name, f"result:{task_id}")


def owned(name: str) -> str:
    """Hash: id → how often its result is owned, until when it would stay by itself; newline and owner → the ids that it owns."""
    return _of(name, "owned")


def owned_over(name: str) -> str:
    """List: ids that owners had which are over, to be let go of; at most 1,000 in each."""
    return _of(name, "owned:over")


def outbox(name: str) -> str:
    """Hash: another queue → the number before which all that was posted for it is struck; until that is all, and it was told."""
    return _of(name, "outbox")


def posted(name: str, target: str) -> str:
    """Sorted set: a task for another queue, with its id and times → its number."""
    return _of(name, f"posted:{target}")


def receipts(name: str) -> str:
    """Hash: another queue → the highest number that came from its outbox, when it was heard of last in ms; a day long."""
    return _of(name, "receipts")


def received(name: str, source: str) -> str:
    """Sorted set: id of what came from the outbox of another queue, and may not have been struck there → its number."""
    return _of(name, f"received:{source}")


def waiters(name: str) -> str:
    """Hash: id of an unfinished task → the reply lists that its end is sent to."""
    return _of(name, "waiters")


def reply(name: str, client: str) -> str:
    """List with TTL: finished ids for one client process."""
    return _of(name, f"reply:{client}")


def done(name: str, third: int) -> str:
    """Set with TTL: ids finished without a lasting result, by server minute modulo 3 (see docs/decisions/0003)."""
    return _of(name, f"done:{third}")


def paused(name: str) -> str:
    """String: what is paused, a line each: the queue, or tasks of a name; see docs/decisions/0054."""
    return _of(name, "paused")


def control(name: str) -> str:
    """Hash: id of a running task that is to be stopped → the record to end it with; an order to a worker → when it lapses."""
    return _of(name, "control")


def revoked(name: str) -> str:
    """Set: ids of tasks that were revoked while a worker had them in hand: they do not start any more."""
    return _of(name, "revoked")


def progress(name: str, task_id: str) -> str:
    """String with TTL: the last progress a running task reported."""
    return _of(name, f"progress:{task_id}")


def bulk(name: str, action: str) -> str:
    """String with TTL: how far an action on many tasks is, JSON; and, as that of its id and ``:cancel``, that it is to stop."""
    return _of(name, f"bulk:{action}")


def log(name: str, task_id: str) -> str:
    """String with TTL: the last lines that a task logged."""
    return _of(name, f"log:{task_id}")


def stream(name: str, task_id: str) -> str:
    """Stream with TTL: the items of a task that yields, in batches: attempt, number of the last one → the batch."""
    return _of(name, f"stream:{task_id}")


def streamed(name: str, task_id: str) -> str:
    """Hash with TTL: of such a task: whose attempt it is, how many items and bytes, who reads; see lua/stream_add.lua."""
    return _of(name, f"streamed:{task_id}")
