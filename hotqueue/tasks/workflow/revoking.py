"""Revoking some tasks by their ids in a few trips, and what each says; one alone does it in client/result.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotqueue.tasks.client.result import IN_HAND, is_step
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.workflow import graph
from hotqueue.tasks.workflow.crossing import bring
from hotqueue.tasks.workflow.results import with_replacements

REVOKED, RUNNING, ENDED = "revoked", "running, not stopped", "finished or unknown"


def revoke_some(broker: Any, ids: Sequence[str]) -> dict[str, int]:
    """Keep tasks from running, as `AsyncResult.revoke` does, those together that one script takes; return what of how many.

    Of the last step of a workflow, all of its steps that wait are revoked.
    """
    ids = list(dict.fromkeys(ids))
    meant = with_replacements(broker, [*ids, *_before(broker, ids)])
    ended = broker.revoke_steps(meant)
    bring(broker)  # what other queues wait for, or have
    if ended == len(meant):
        return {REVOKED: len(ids)}
    broker.wait_for_start(_unended(broker, ids), IN_HAND)
    revoked, left = _revoked(broker, ids), set(_unended(broker, ids))
    said = [RUNNING if each in left else REVOKED if each in revoked else ENDED for each in ids]
    return {what: said.count(what) for what in (REVOKED, RUNNING, ENDED) if what in said}


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
