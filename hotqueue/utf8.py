"""Ids and names, which are text here and bytes in Redis: what is not UTF-8 survives the way there and back. Pure."""

from __future__ import annotations


def text(raw: bytes) -> str:
    """Return an id or name that Redis gave as text; what is not UTF-8 survives the way back through `raw`."""
    return raw.decode("utf-8", "surrogateescape")


def raw(text: str) -> bytes:
    """Undo `text`."""
    return text.encode("utf-8", "surrogateescape")
