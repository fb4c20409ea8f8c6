"""Keys of queues as bytes: they come from servers that anybody may write to, so that they need not be text. Pure.

The forms of keys are in keys.py.
"""

from __future__ import annotations

from hotqueue import key_types, keys


def list_of(key: bytes) -> bytes:
    """Return the list of the queue that a key belongs to; empty for a key that is no queue's."""
    prefix = keys.PREFIX.encode()
    if key.startswith(prefix):
        return key
    return key[1:].partition(b"}:")[0] if key.startswith(b"{" + prefix) and b"}:" in key else b""


def thing_of(key: bytes) -> bytes:
    """Return what a key of a queue is: "tasks", "result:<id>"; empty for the list."""
    return key.partition(b"}:")[2] if key.startswith(b"{") else b""


def tag_of(name: bytes) -> bytes:
    return b"{" + name + b"}:"


def beside(name: bytes, key: bytes) -> bytes:
    """Return where a key of a queue is written before it appears; as in lua/members.lua."""
    return tag_of(name) + b"import:" + thing_of(key)


def known_of(name: bytes, state: list[bytes]) -> list[bytes]:
    """Return the keys of a queue of which one moment is taken: those that it may have, and those that were seen."""
    return list(dict.fromkeys([name, *(tag_of(name) + thing for thing in key_types.SINGLE), *state]))
