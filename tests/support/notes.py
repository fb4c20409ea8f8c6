"""Notes that tasks take in a file, which no fault of Redis reaches: a line each, from any process."""

from __future__ import annotations

import os
from pathlib import Path


class Notes:
    """A file to append to; nothing is kept where none is named.

    Args:
        path: the file, made if missing.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._file = os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        """Append a line; short enough to be written as one, it mixes with no other process's."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def read(path: Path) -> list[list[str]]:
    """Return the words of each line; none while there is no file."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
