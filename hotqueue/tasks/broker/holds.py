"""What a worker holds, as it stands in Redis: read only; whatever changes it is in lua/shared/holds.lua."""

from __future__ import annotations

from collections.abc import Iterable

from hotqueue import keys

FRONT, HEAD = 8, 17  # bytes before the heads of a record, and of one


def ids_in(pairs: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the ids of the tasks in records: those of `pairs`, each a field and its value."""
    return [keys.text(task_id) for field, value in pairs for task_id in _ids_of(field, value)]


def _ids_of(field: bytes, value: bytes) -> list[bytes]:
    if value[:1] != b"1" or not value[1:FRONT].isdigit():
        return [field]  # of before there were records
    end = FRONT + HEAD * int(value[1:4])
    names = value[end + 1 :].split(b"\n")
    return [task_id for n, task_id in zip(range(FRONT, end, HEAD), names, strict=False) if value[n : n + 1] != b"-"]
