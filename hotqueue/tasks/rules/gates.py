"""Gates: what bounds how many tasks run at a time, and under which key a call counts. Pure.

A gate travels with its call, as a line that Lua reads: ``c4 k:tenant-7``, at most four at a time under that key. What scripts
make of it is in broker/lua/lanes.lua; why it is so, in docs/decisions/0044.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from hotqueue.tasks.rules.call_keys import Key, key_of

GATE = re.compile(rb"c[1-9][0-9]* [tk]:[^\n]+")


def of_call(
    limit: int, key: Key | None, name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> bytes:
    """Return the gate of a call.

    Args:
        limit: how many run at a time.
        key: what says under which key this call counts; None: all calls of the task count together.
        name: of the task.

    Raises:
        TypeError, ValueError: the arguments make no key.
    """
    if key is None:
        return b"c%d t:%b" % (limit, name.encode())
    return b"c%d k:%b" % (limit, key_of(key, signature, args, kwargs, f"{name}: concurrency_key="))


def read(gate: bytes) -> tuple[int, str]:
    """Return limit and key, with its "t:" or "k:", of a gate."""
    limit, _, key = gate[1:].partition(b" ")
    return int(limit), key.decode("utf-8", "replace")


def shown(key: str) -> str:
    """Return a gate's key as people know it."""
    return f"task {key[2:]}" if key.startswith("t:") else f"key {key[2:]!r}"
