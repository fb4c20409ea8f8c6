"""A number with what it counts, as people read it: ``1 task``, ``1,200 tasks``. Pure; imports nothing of hotqueue."""

from __future__ import annotations


def plural(count: int, one: str, several: str = "") -> str:
    """Return a number with what it counts: ``1 task``, ``2 tasks``.

    Args:
        one: what it is called where there is one, such as ``process is``.
        several: where there are several, ``processes are``; else `one` with an s.
    """
    return f"{count:,} {word(count, one, several)}"


def word(count: int, one: str, several: str = "") -> str:
    """Return what so many are called, without the number."""
    return one if count == 1 else several or f"{one}s"
