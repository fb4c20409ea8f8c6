"""The server that comes along: found, started, watched, mended. Knows no Redis client."""

from __future__ import annotations

from typing import Any

from hotqueue import moved


def __getattr__(name: str) -> Any:
    return moved.find(__name__, name)  # this was a module once, with a class that stored queues name
