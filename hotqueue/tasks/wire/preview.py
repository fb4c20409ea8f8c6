"""Preview: what people see of a stored task, read without its payload, before which it may be cut off. Never unpickles.

Nothing is verified here, and nothing raised: a list shows what stands there, whoever wrote it. Texts of an error are read out of
its pickle without running it.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any

from hotqueue import moved
from hotqueue.errors import Interruption
from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire.envelope import ASYNC, BY_VALUE, FIXED, GATED, HAS_MORE, SIGNED, UNIQUE, WIRE_VERSION

_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_MEMOIZED = ("BINGET", "LONG_BINGET")


@dataclass(frozen=True, slots=True)
class Preview:
    """A call, as people see it.

    Attributes:
        task: its name; "?" of what cannot be read.
        args: its arguments as text.
        created: ms since the epoch, by the producer's clock.
        options: those that travel.
        headers: the caller's own.
        flow: what it is in a workflow.
        eta: when it was to start, in ms; 0: at once.
    """

    task: str = "?"
    args: str = ""
    queue: str = ""
    created: int = 0
    priority: int = 0
    is_async: bool = False
    is_by_value: bool = False
    is_signed: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=dict)
    eta: int = 0


def preview(data: bytes) -> Preview:
    """Return what people see of an envelope."""
    if len(data) < FIXED.size or data[0] != WIRE_VERSION:
        return Preview()
    _, kind, priority, flags, _, created, n_header, n_call, n_id = FIXED.unpack_from(data)
    start = FIXED.size + n_id
    header = json_object(data[start : start + n_header]) or {}
    call = data[start + n_header : start + n_header + n_call]
    for flag in (GATED, UNIQUE):
        if flags & flag:
            call = call[2 + int.from_bytes(call[:2], "big") :]
    more = (json_object(call) or {}) if flags & HAS_MORE else {"args": call.decode("utf-8", "replace")}
    return Preview(
        str(header.get("task", "?")),
        str(more.get("args", "")),
        str(header.get("queue", "")),
        created,
        priority - 100,
        kind == ASYNC,
        bool(flags & BY_VALUE),
        bool(flags & SIGNED),
        _object(header.get("options")),
        _object(more.get("headers")),
        _object(more.get("flow")),
        _whole(more.get("eta")),
    )


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def error_texts(data: bytes) -> tuple[str, str, str] | None:
    """Return class path, message and traceback of a stored error, as `payload.dumps_error` wrote it; None for what is none.

    Nothing of it is loaded: its first three texts are read as they stand, which makes no object and calls nothing.
    """
    found: list[str] = []
    memo: list[Any] = []
    try:
        last: Any = None
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name == "MEMOIZE":
                memo.append(last)
                continue
            place: Any = argument
            last = place if opcode.name in _TEXTS else memo[place] if opcode.name in _MEMOIZED else None
            if isinstance(last, str):
                found.append(last)
            if len(found) == 3:
                return moved.today(found[0]), found[1], found[2]
            if opcode.name not in ("PROTO", "FRAME", "MARK", *_TEXTS, *_MEMOIZED):
                return None
    except Interruption:
        raise
    except Exception:  # whatever stands there
        return None
    return None
