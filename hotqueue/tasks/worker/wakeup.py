"""Wait until descriptors can be read, however high their numbers: select() refuses those from 1,024 on."""

from __future__ import annotations

import select
from collections.abc import Iterable


def readable(descriptors: Iterable[int], seconds: float) -> list[int]:
    """Return those that can be read, or have ended, within `seconds`; none if there are none by then."""
    if not hasattr(select, "poll"):  # Windows
        return select.select(list(descriptors), [], [], seconds)[0]
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
