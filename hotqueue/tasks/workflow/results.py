"""Results of workflows: the handles that sending one returns, made again by an id, and what came before and after each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hotqueue.errors import UnknownTask
from hotqueue.tasks.client.client import Client
from hotqueue.tasks.client.handle import Handle, handle_of
from hotqueue.tasks.client.result import AsyncResult
from hotqueue.tasks.client.resultset import ResultSet
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.workflow import graph
from hotqueue.tasks.workflow.crossing import bring
from hotqueue.tasks.workflow.graph import Graph, Node, Shape, Workflow

REPLACEMENT = "replacement:"  # before the id of a task: what there is to say of what was put in its place, see replacing.lua


def result_of(client: Client, found: Graph, shape: Shape) -> AsyncResult[Any] | ResultSet[Any]:
    """Return the handle of a value that is made of these steps: a result, or several."""
    if isinstance(shape, int):
        handle: Handle[Any] = Handle(found.ids[shape], client, found.home)
        handle.graph = found
        return AsyncResult(handle)
    results: list[AsyncResult[Any]] = []
    shape = _numbered(client, found, shape, results)
    return ResultSet(results, found.id, shape)


def _numbered(client: Client, found: Graph, shape: Shape, results: list[AsyncResult[Any]]) -> Shape:
    """Add the results of a shape's steps to `results`; return the shape made of their places there."""
    if isinstance(shape, list):
        return [_numbered(client, found, part, results) for part in shape]
    results.append(result_of(client, found, shape))  # type: ignore[arg-type]
    return len(results) - 1


# --- what is around a result -------------------------------------------------------------------------------------------


def parent(result: AsyncResult[Any]) -> AsyncResult[Any] | ResultSet[Any] | None:
    """Return the result of the step before; of several, all of them; None for a first step."""
    found, number = _around(result)
    if found is None or number is None or not (before := found.parents(number)):
        return None
    return result_of(handle_of(result).client, found, before[0] if len(before) == 1 else before)


def children(result: AsyncResult[Any]) -> list[AsyncResult[Any]]:
    """Return the results of the steps that come next."""
    found, number = _around(result)
    if found is None or number is None:
        return []
    client = handle_of(result).client
    return [result_of(client, found, child) for child in found.children(number)]  # type: ignore[misc]


def root(result: AsyncResult[Any]) -> AsyncResult[Any] | ResultSet[Any]:
    """Return the result of the first step of the workflow; of several, all of them; of a task that is alone, its own."""
    found, number = _around(result)
    if found is None or number is None:
        return result
    roots = found.roots()
    return result_of(handle_of(result).client, found, roots[0] if len(roots) == 1 else roots)


def _around(result: AsyncResult[Any]) -> tuple[Graph | None, int | None]:
    """Return the graph that a task is a step of, and which; None for a task of no workflow, or of one that is forgotten."""
    handle = handle_of(result)
    found: Graph | None = getattr(handle, "graph", None)
    if found is None:
        found = _stored(handle.broker, handle.id)
        if found is None:
            return None, None
        handle.graph = found
    return found, found.number(handle.id)


def revoke_before(result: AsyncResult[Any], terminate: bool) -> None:
    """Revoke the steps of a workflow whose value is that of this one, and of what was put in the place of a task."""
    found, number = _around(result)
    handle = handle_of(result)
    ids = [handle.id] if found is None or found.shape != number else [*found.ids]
    others = [task_id for task_id in with_replacements(handle.broker, ids) if task_id != handle.id]
    if terminate:
        for task_id in others:
            AsyncResult(Handle(task_id, handle.client, handle.queue)).revoke(terminate=True)
    elif others:
        handle.broker.revoke_steps(others)
    _bring(handle.broker, found)


def revoke_all(member: AsyncResult[Any]) -> int:
    """Revoke what waits of the workflow that a member of a group is of; return how many these were."""
    found, _ = _around(member)
    if found is None:
        return 0
    broker = handle_of(member).broker
    ended = int(broker.revoke_steps(list(with_replacements(broker, list(found.ids)))))
    there = [task_id for task_id, queue in zip(found.ids, found.queues, strict=True) if queue != found.home]
    asked = [task_id for task_id, data in _records(broker, there) if data is None]
    if asked:
        bring(broker)
    known = [record.glimpse(data) for _, data in _records(broker, asked) if data is not None]
    return ended + sum(each is not None and each[0] is State.REVOKED for each in known)


def with_replacements(broker: Any, ids: list[str]) -> list[str]:
    """Return ids of steps, and behind them those of the steps that were put in the places of these, and so on."""
    found, new = dict.fromkeys(ids), ids
    while new:
        steps: dict[str, None] = {}
        for _, data in _records(broker, [REPLACEMENT + each for each in new]):
            steps.update(dict.fromkeys(graph.decode("", data).ids if data else ()))
        new = [task_id for task_id in steps if task_id not in found]
        found.update(dict.fromkeys(new))
    return list(found)


def _records(broker: Any, ids: list[str]) -> Iterator[tuple[str, bytes | None]]:
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        yield from zip(some, broker.records(some), strict=True)


def _bring(broker: Any, found: Graph | None) -> None:
    """Have other queues hear what revoked steps have to say, one of which may be their home: no worker may be there to."""
    if found is None or any(queue != found.home for queue in found.queues):
        bring(broker)


# --- by an id ----------------------------------------------------------------------------------------------------------


def results(client: Client, workflow_id: str) -> ResultSet[Any]:
    """Return the results of a group that was sent.

    Raises:
        UnknownTask: there is none of this id.
    """
    found = _known(client, workflow_id)
    shape = found.shape if isinstance(found.shape, list) else [found.shape]
    return result_of(client, found, shape)  # type: ignore[return-value]


def workflow(client: Client, workflow_id: str) -> Workflow:
    """Return a workflow with the states of its steps.

    Raises:
        UnknownTask: there is none of this id.
    """
    found = _known(client, workflow_id)
    states: list[State] = []
    looked = states_of([result_of(client, found, n) for n in range(len(found.ids))])  # type: ignore[misc]
    for number, (state, is_kept) in enumerate(looked):
        was_called = found.whens[number] != "F" and not any(states[need] is State.UNKNOWN for need in found.needs[number])
        states.append(state if was_called or is_kept or state is not State.SUCCESS else State.UNKNOWN)
    rows = zip(found.ids, found.tasks, found.queues, states, strict=True)
    return Workflow([Node(*row) for row in rows], list(found.edges()))


def states_of(results: list[AsyncResult[Any]]) -> list[tuple[State, bool]]:
    """Return the states of steps of one workflow, and whether their results are kept; those that ended are read together.

    An errback that was not called, and what is behind it, has ended without a result, as a step that ignores its own does.
    """
    states: list[tuple[State, bool]] = []
    handles = [handle_of(result) for result in results]
    for start in range(0, len(handles), 1000):
        some = handles[start : start + 1000]
        for handle, data in zip(some, some[0].broker.records([handle.id for handle in some]), strict=True):
            known = None if data is None else record.decode(data, handle.id, handle.signer).state
            states.append((AsyncResult(handle).state if known is None else known, known is not None))
    return states


def _known(client: Client, workflow_id: str) -> Graph:
    found = _stored(client.broker, workflow_id)
    if found is None:
        raise UnknownTask(
            f"no workflow {workflow_id!r:.200} in queue {client.name!r} at {client.store}: none of this id was sent there, or "
            "its results have expired; ask the queue of its first step"
        )
    return found


def _stored(broker: Any, workflow_id: str) -> Graph | None:
    """Return the graph of a workflow by its id, or by that of a step; of a task that is none, of what was put in its place."""
    for known_as in dict.fromkeys((workflow_id, workflow_id.rpartition("-")[0])):
        data = broker.workflow(known_as) if known_as else None
        if data is not None:
            return graph.decode(known_as, data)
    data = broker.record(REPLACEMENT + workflow_id)
    return None if data is None else graph.decode(workflow_id, data)
