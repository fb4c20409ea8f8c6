"""Warnings: what somebody should look at, told from facts that were read already. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hotqueue.monitor.crowd import QueueFacts, ServerFacts
from hotqueue.monitor.workers import Worker
from hotqueue.plurals import plural

FULL = 0.9  # of the server's memory
BAD, NOTE = "bad", "note"


@dataclass(frozen=True, slots=True)
class Warning:
    """One thing to look at.

    Attributes:
        level: BAD, or NOTE for what may be meant.
        queue: that it is about; "" if it is about none.
        advice: what to do.
    """

    level: str
    text: str
    queue: str = ""
    advice: str = ""


def warnings(server: ServerFacts, queues: Sequence[QueueFacts], workers: Sequence[Worker]) -> list[Warning]:
    """Return what somebody should look at, the worst first."""
    found = [*_of_server(server)]
    for queue in queues:
        found += _of_queue(queue)
    overdue = [each for each in workers if each.is_overdue]
    if overdue:
        text = f"{overdue[0].shown} has not been heard of for longer than its lease" if len(overdue) == 1 else ""
        text = text or f"{plural(len(overdue), 'worker has', 'workers have')} not been heard of for longer than their leases"
        found.append(Warning(BAD, text, advice="what they held goes to others as soon as another worker's upkeep looks"))
    return sorted(found, key=lambda each: each.level != BAD)


def _of_server(server: ServerFacts) -> list[Warning]:
    found = []
    if server.max_memory and server.memory > FULL * server.max_memory:
        share = f"{100 * server.memory / server.max_memory:.0f} %"
        found.append(
            Warning(BAD, f"the server has used {share} of its memory", advice="raise maxmemory: a full server takes no task")
        )
    if server.policy and server.policy != "noeviction" and server.max_memory:
        advice = "CONFIG SET maxmemory-policy noeviction: else it throws tasks away when memory is short"
        found.append(Warning(BAD, f"the server may evict keys ({server.policy})", advice=advice))
    return found


def _of_queue(queue: QueueFacts) -> list[Warning]:
    name, found = queue.name, list[Warning]()
    if queue.refused:
        return [Warning(BAD, queue.refused, name)]
    if queue.is_newer:
        return [Warning(BAD, f"{name} has tasks of a newer hotqueue", name, "upgrade this one to see them")]
    if queue.waiting and not queue.workers:
        advice = f"start one: hotqueue-worker MODULE -Q {name}"
        found.append(Warning(BAD, f"{_tasks(queue.waiting)} in {name}, and there is no worker", name, advice))
    if queue.is_paused:
        found.append(Warning(NOTE, f"{name} is paused{f'; {_tasks(queue.waiting)}' if queue.waiting else ''}", name))
    if queue.parked and queue.workers:
        text = f"{_tasks(queue.parked)} in {name} for something that no worker offers"
        found.append(Warning(NOTE, text, name, "the list of parked tasks says what"))
    return found


def _tasks(count: int) -> str:
    return plural(count, "task waits", "tasks wait").replace(",", " ")
