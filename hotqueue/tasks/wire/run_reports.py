"""What a run says of itself while it runs, as it is stored: how far it is, and the last lines that it logged. Pure.

Both are JSON, which anybody may read who may look at the store; nothing of it is pickled.
"""

from __future__ import annotations

import json
import numbers
from collections import deque
from typing import Any

from hotqueue.tasks.rules.history import json_object
from hotqueue.tasks.wire.exceptions import shortened

LINES = 100  # of a task that are kept, the last ones
BYTES = 10_000  # that they may take
LONGEST = 2_000  # characters of a line

Line = tuple[int, int, str]  # when, in ms; in which run of the task, from 1; the text


def progress_of(done: Any, total: Any, message: Any) -> dict[str, Any]:
    """Return progress as it is stored.

    Raises:
        TypeError: what is to be a number is none, or the message no text.
    """
    if not isinstance(message, str):
        raise TypeError(f"update_progress(message=) takes a str, not {message!r:.80}")
    whole = None if total is None else _number(total, "total")
    return {"done": _number(done, "done"), "total": whole, "message": shortened(message)}


def _number(value: Any, name: str) -> float:
    """Return a number of any kind as one that JSON has."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"update_progress({name}=) takes a number, not {value!r:.80}")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def line_of(text: Any) -> str:
    """Return a line as it is kept.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"log() takes a str, not {text!r:.80}")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class Lines:
    """The last lines that a task logged.

    Attributes:
        dropped: how many there were before them.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._kept: deque[tuple[Line, int]] = deque()
        self._bytes = 0
        said = json_object(data) or {}
        dropped, lines = said.get("dropped"), said.get("lines")
        self.dropped = dropped if type(dropped) is int and dropped > 0 else 0
        for line in lines if isinstance(lines, list) else ():
            if isinstance(line, list) and [type(each) for each in line] == [int, int, str]:
                self.add((line[0], line[1], line[2][: LONGEST + 1]))

    def add(self, line: Line) -> None:
        """Add a line; the first ones go where they are too many, or too long."""
        size = len(json.dumps(line))
        self._kept.append((line, size))
        self._bytes += size
        while len(self._kept) > LINES or self._bytes > max(BYTES, size):
            self._bytes -= self._kept.popleft()[1]
            self.dropped += 1

    @property
    def all(self) -> list[Line]:
        """The lines, the last one last."""
        return [line for line, _ in self._kept]

    def encode(self) -> str:
        """Return them as they are stored."""
        return json.dumps({"lines": self.all, "dropped": self.dropped}, separators=(",", ":"))
