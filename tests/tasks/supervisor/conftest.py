"""Fixtures of the tests of what keeps workers and queues in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from hotqueue import presence
from tests.tasks.contents import Room


@pytest.fixture(autouse=True)
def nothing_is_left_of_the_dead() -> Iterator[None]:
    """All of them are of this process, and would be taken for workers that died together."""
    yield
    for name in os.listdir(presence.folder()):
        if name.split("-")[-2:-1] == [str(os.getpid())] and presence.is_alive(presence.folder(), name) is False:
            presence.forget(presence.folder(), name)


@pytest.fixture
def rooms(make_queue: Callable[..., object], queue_name: str) -> Iterator[list[Room]]:
    made = [Room(make_queue(f"{queue_name}-{n}")) for n in range(3)]  # type: ignore[arg-type]
    yield made
    for room in made:
        room.wipe()
