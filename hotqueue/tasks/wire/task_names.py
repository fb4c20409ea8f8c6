"""Names of the tasks in envelopes, read from the headers that all calls of a task share, once each. Verifies nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire.envelope import FIXED
from hotqueue.utf8 import raw

UNKNOWN = "?"


def header_of(data: bytes) -> bytes:
    """Return the task header of an envelope; b"" of what is none."""
    if len(data) < FIXED.size:
        return b""
    *_, n_header, _, n_id = FIXED.unpack_from(data)
    return data[FIXED.size + n_id : FIXED.size + n_id + n_header]


@lru_cache(maxsize=4096)
def name_in(header: bytes) -> str:
    """Return the name in a task header, in one line; UNKNOWN where there is none."""
    found = (json_object(header) or {}).get("task")
    return found.replace("\n", " ") if isinstance(found, str) and found else UNKNOWN


def line_of(name: str) -> bytes:
    """Return the name of a task as scripts are given it: behind a colon, in one line."""
    return b":" + raw(name.replace("\n", " "))


def lines_of(envelopes: Sequence[bytes]) -> bytes:
    """Return the names of the tasks in envelopes, a line each; of one name for all, that line alone."""
    headers = [header_of(data) for data in envelopes[:1]]
    at = FIXED.size
    if headers and not (
        headers[0] and all(data.startswith(headers[0], at + data[at - 1]) for data in envelopes[1:] if len(data) >= at)
    ):
        headers = [header_of(data) for data in envelopes]
    return b"".join([line_of(name_in(header)) + b"\n" for header in headers])
