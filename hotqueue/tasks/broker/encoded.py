"""Encoded: a task as it is enqueued.

Imports nothing: whoever defines tasks has it loaded before a server is needed.
"""

from __future__ import annotations

from typing import NamedTuple


class Encoded(NamedTuple):
    """A task as it is enqueued.

    Attributes:
        due: when it may run: "" at once, "+ms from now" or "ms".
        expires: when it is too late for it; the same, "" for never.
    """

    id: str
    due: str
    expires: str
    envelope: bytes
