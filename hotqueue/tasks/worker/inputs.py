"""Inputs: what steps of workflows take of the tasks before them: read, for several in one trip, and made into arguments.

Reading is done beside the task, so that a server that is away is not the task's failure; unpickling within its limits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hotqueue import keys
from hotqueue.errors import EarlierStepFailed, SerializationError
from hotqueue.signing import Signer
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules.history import JOINED
from hotqueue.tasks.rules.history import decode as decode_history
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import envelope, flow, payload, record
from hotqueue.tasks.wire.record import Record
from hotqueue.tasks.wire.settlement import RECORDS, Delivery, Settlement, raw_of

TOGETHER = 250  # entries that are read in one trip
AHEAD = 1000  # records that are read at most for steps that stand in line
MOST_HANDED_ON = 64 * 1024  # bytes of a step: what needs more tasks than one step settles is not decoded for that
ENDED_WITHOUT = b""  # stands for the record of a task that ended without one


def hand_on(settled: Sequence[Settlement], gone: Collection[str], deliveries: Sequence[Delivery]) -> None:
    """Give steps what they take of tasks whose ends came with the fetch that brought them, so that it need not be read.

    Args:
        settled: what was sent along with that fetch.
        gone: ids of those among them whose outcome was dropped: it is another that counts.
    """
    ended = {each.id: each.blob for each in settled if each.code in RECORDS and each.id not in gone}
    for delivery in deliveries if ended else ():
        if delivery.data[3:4] and delivery.data[3] & envelope.STEP and len(delivery.data) < MOST_HANDED_ON:
            needs, _ = _needs(delivery)
            if all(each in ended for each in needs):
                delivery.inputs = {each: raw_of(ended[each]) for each in needs}


def read_inputs(broker: Broker, line: Sequence[Delivery]) -> None:
    """Read what the first of a line takes of others, and with it what those behind it take, up to some.

    Raises:
        ConnectionFailed, ConfigError: the server is away, or set up otherwise.
    """
    needs: dict[str, None] = {}
    steps: list[tuple[Delivery, list[str], bool]] = []
    for n, delivery in enumerate(line):
        if n and len(needs) >= AHEAD:
            break
        if delivery.inputs is None and takes_of_others(delivery):
            own, is_errback = _needs(delivery)
            steps.append((delivery, own, is_errback))
            needs.update(dict.fromkeys(own))
    found = _records(broker, list(needs))
    origins = [origin for _, own, is_errback in steps if is_errback for origin in origins_of([found[each] for each in own])]
    found |= _records(broker, [task_id for task_id in dict.fromkeys(origins) if task_id not in found])
    for delivery, own, is_errback in steps:
        also = origins_of([found[each] for each in own]) if is_errback else ()
        delivery.inputs = {each: found[each] for each in (*own, *also)}


def _needs(delivery: Delivery) -> tuple[list[str], bool]:
    """Return the ids of the tasks of which a step takes something, and whether that is an error; of what cannot be read, none."""
    if holder := joined_of(delivery):
        return [holder], False
    if not envelope.may_say(delivery.data, b'"needs":'):
        return [], False
    try:
        delivery.read = found = envelope.decode(delivery.data)
        flow = found.flow
    except SerializationError:  # `prepare` says so
        return [], False
    return list(flow.get("needs", ())), "of" in flow


def takes_of_others(delivery: Delivery) -> bool:
    """Tell whether a task may be one that takes something of others."""
    data = delivery.data
    return bool(data[3:4] and data[3] & envelope.STEP) or b"joined" in delivery.history


def joined_of(delivery: Delivery) -> str:
    """Return the id of the task that a step ends as, as that has its unique key; "" for any other."""
    if b"joined" not in delivery.history:
        return ""
    history = decode_history(delivery.history)
    return history.holder if history.verdict == JOINED else ""


def origins_of(records: Sequence[bytes | None]) -> list[str]:
    """Return the ids of the steps because of which those of these records did not run."""
    return list(dict.fromkeys(origin for data in records if data and (origin := record.origin_in(data))))


def _records(broker: Broker, ids: list[str]) -> dict[str, bytes | None]:
    found = dict(zip(ids, broker.records_now(ids), strict=True))
    missing = [task_id for task_id, data in found.items() if data is None]
    owned = keys.owned(broker.name)
    for start in range(0, len(missing), TOGETHER):
        some = missing[start : start + TOGETHER]
        for task_id, entry in zip(some, broker.store.command(owned, "HMGET", owned, *map(keys.raw, some)), strict=True):
            if entry is not None and entry.split(b"\n")[0].endswith(b" x"):
                found[task_id] = ENDED_WITHOUT
    return found


def arguments(
    said: Mapping[str, Any], inputs: Mapping[str, bytes | None], signer: Signer | None, args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return the positional arguments of a step.

    Args:
        said: its flow, see wire/flow.py.
        inputs: as they were read.
        args: those that its sender gave.

    Raises:
        EarlierStepFailed: what it takes of a task is not there any more.
        SignatureError: it is not signed, or was altered.
    """
    if "of" in said:
        return _of_errback(said, inputs, signer, args)
    if "takes" not in said:
        return args
    values = _plain_values(said["needs"], inputs) if signer is None else None
    if values is None:
        values = [_value(each, inputs[each], signer) for each in said["needs"]]
    return flow.arguments(said, args, values)


def _plain_values(ids: Sequence[str], inputs: Mapping[str, bytes | None]) -> list[Any] | None:
    """Return what tasks returned, in as few calls as may be, as there may be thousands; None if one of them did not."""
    found = record.plain_values([inputs[each] for each in ids])
    return None if found is None else payload.loads_all(found)


def _value(task_id: str, data: bytes | None, signer: Signer | None) -> Any:
    if data == ENDED_WITHOUT:
        return None
    found = _decoded(task_id, data, signer)
    return payload.loads(found.payload) if found.state is State.SUCCESS else flow.MISSING


def _decoded(task_id: str, data: bytes | None, signer: Signer | None) -> Record:
    if data is None:
        raise EarlierStepFailed(
            f"what task {task_id} returned is not there any more: was one of its queue's keys deleted?", task_id
        )
    return record.decode(data, task_id, signer)


def _of_errback(
    said: Mapping[str, Any], inputs: Mapping[str, bytes | None], signer: Signer | None, args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return the arguments of what is called for the first of some tasks that failed itself.

    Where none did, it is one that others took the place of, and what is told is the error of that one of these which failed.
    """
    ends = {task_id: _decoded(task_id, inputs[task_id], signer) for task_id in said["needs"] if inputs[task_id]}
    failed = {task_id: found for task_id, found in ends.items() if found.state is State.FAILURE}
    for task_id, found in sorted(failed.items(), key=lambda item: item[1].origin is not None):
        if found.origin is not None and inputs.get(found.origin):  # else it is of another queue
            found = _decoded(found.origin, inputs[found.origin], signer)
        trace = payload.describe_error(found.payload)[2]
        return flow.of_errback(said, args, task_id, payload.loads_error(found.payload), trace)
    raise EarlierStepFailed("the error of the task that failed is not there any more: its result has expired")
