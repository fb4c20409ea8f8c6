"""Revoking several tasks of a queue in a few trips, and what each says; one alone does it in client/result.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue.tasks.client.handle import Handle, handle_of
from hotqueue.tasks.client.result import IN_HAND, AsyncResult, is_step
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.workflow import graph
from hotqueue.tasks.workflow.crossing import bring
from hotqueue.tasks.workflow.results import with_replacements

REVOKED, RUNNING, ENDED = "revoked", "running, not stopped", "finished or unknown"


def revoke_many(results: Sequence[AsyncResult[Any]], terminate: bool) -> int:
    """Keep tasks of one queue from running, as `AsyncResult.revoke` does; return how many were revoked by this.

    What a worker, or another queue, has in hand is asked for one by one: it may start, or end, at any moment.
    """
    if not results:
        return 0
    handle, alone = handle_of(results[0]), {handle_of(each).id: each for each in results}
    ended, held, others = _revoke(handle.broker, list(alone))
    for task_id in others if terminate else ():
        AsyncResult(Handle(task_id, handle.client, handle.queue)).revoke(terminate)
    return ended + sum(alone[task_id].revoke(terminate) == REVOKED for task_id in held)


def revoke_some(broker: Any, ids: Sequence[str]) -> dict[str, int]:
    """Do so with tasks that are known by their ids alone; return what came of how many.

    Of the last step of a workflow, all of its steps that wait are revoked.
    """
    ids = list(dict.fromkeys(ids))
    ended, held, _ = _revoke(broker, ids, _before(broker, ids))
    bring(broker)  # what other queues wait for, or have
    if ended == len(ids):
        return {REVOKED: ended}
    broker.wait_for_start(held, IN_HAND)
    revoked, left = _revoked(broker, ids), set(_unended(broker, ids))
    said = [RUNNING if each in left else REVOKED if each in revoked else ENDED for each in ids]
    return {what: said.count(what) for what in (REVOKED, RUNNING, ENDED) if what in said}


def _revoke(broker: Any, ids: list[str], also: Sequence[str] = ()) -> tuple[int, list[str], list[str]]:
    """End tasks that wait, others as well, and what was put in the places of all of these.

    Returns:
        How many of `ids` were ended, which of them a worker, or another queue, has in hand, and which beside them.
    """
    ended, held = broker.revoke_many(ids)
    known = set(ids)
    others = [each for each in with_replacements(broker, [*ids, *also]) if each not in known]
    return ended, held, broker.revoke_many(others)[1] if others else []


def _before(broker: Any, ids: Sequence[str]) -> list[str]:
    """Return the other steps of the workflows whose last step is among these."""
    workflows = list(dict.fromkeys(each.rpartition("-")[0] for each in ids if is_step(each)))
    if not workflows:
        return []
    own, found = set(ids), list[str]()
    for workflow, data in zip(workflows, broker.records([f"workflow:{each}" for each in workflows]), strict=True):
        steps = None if data is None else graph.decode(workflow, data)
        if steps is not None and isinstance(steps.shape, int) and steps.ids[steps.shape] in own:
            found += [each for each in steps.ids if each not in own]
    return found


def _revoked(broker: Any, ids: Sequence[str]) -> set[str]:
    known = zip(ids, map(record.glimpse, broker.step_states(ids, 64)), strict=True)
    return {each for each, found in known if found is not None and found[0] is State.REVOKED}


def _unended(broker: Any, ids: Sequence[str]) -> list[str]:
    return [each for each, end in zip(ids, broker.ends(ids), strict=True) if end is None]
