"""One file a contender. See ../README.md for what such a file has to define."""

from collections.abc import Iterator
from typing import Any


def chunks(args: list[Any], size: int) -> Iterator[list[Any]]:
    """Cut a list."""
    for start in range(0, len(args), size):
        yield args[start : start + size]
