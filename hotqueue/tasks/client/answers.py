"""Answer: what the server says of a task that somebody waits for; large records are read afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hotqueue.errors import STORE_ERRORS, ConnectionFailed
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.broker.stored_queue import BULK
from hotqueue.tasks.wire.record import is_success

AT_ONCE = 1 << 20  # bytes of records that are read in one trip


@dataclass(slots=True)
class Answer:
    """What is said of a task: ``R`` its record, ``B`` that it has one of `size` bytes, ``D`` done without, ``U`` unknown."""

    status: str
    record: bytes = b""
    size: int = 0

    @property
    def is_error(self) -> bool:
        """True of a task that did not return; of one whose record has not been read that is not known."""
        return self.status == "U" or (self.status == "R" and not is_success(self.record))


def pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return ids as many at a time as are asked about in one trip."""
    return (ids[start : start + BULK] for start in range(0, len(ids), BULK))


def with_records(broker: Broker, answers: dict[str, Answer]) -> dict[str, Answer]:
    """Return answers with the records that they speak of, some in a trip; by whoever waits, so that no other does."""
    some: list[str] = []
    size = 0
    for task_id in [task_id for task_id, answer in answers.items() if answer.status == "B"]:
        if some and size + answers[task_id].size > AT_ONCE:
            _read_records(broker, some, answers)
            some, size = [], 0
        some.append(task_id)
        size += answers[task_id].size
    if some:
        _read_records(broker, some, answers)
    return answers


def confirmed(broker: Broker, answers: dict[str, Answer]) -> dict[str, Answer]:
    """Return of answers that may be of tasks' former lives how these ended by now; none of those that have not ended."""
    found: dict[str, Answer] = {}
    try:
        sizes = broker.ends(list(answers))
    except STORE_ERRORS:  # whoever waits asks again
        return found
    for (task_id, answer), size in zip(answers.items(), sizes, strict=True):
        if size:
            found[task_id] = Answer("B", size=size)
        elif size is not None:
            found[task_id] = answer if answer.status == "D" else Answer("U")
    return found


def _read_records(broker: Broker, ids: list[str], answers: dict[str, Answer]) -> None:
    for task_id, record in zip(ids, broker.records(ids), strict=True):
        answers[task_id] = Answer("U") if record is None else Answer("R", record)


def poll(broker: Broker, client: str, block: float) -> list[bytes]:
    """Read the list now and then, over the connection of any command: a full server may let us open no other."""
    until, pause = time.monotonic() + block, 0.01
    while True:
        try:
            messages = broker.replies_now(client)
        except ConnectionFailed:
            time.sleep(min(block, 0.1))
            return []
        left = until - time.monotonic()
        if messages or left <= 0:
            return messages
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.1)
