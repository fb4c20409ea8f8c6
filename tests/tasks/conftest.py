"""Fixtures of the tests of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotqueue import HotQueue
from hotqueue.tasks.client.definition import definition_of
from tests.tasks import sample
from tests.tasks.contents import Room


@pytest.fixture
def room(make_queue: Callable[..., Any]) -> Iterator[Room]:
    """The keys of this test's queue; emptied afterwards, since tests put there what no worker would leave."""
    made = Room(make_queue())
    yield made
    made.wipe()


@pytest.fixture
def other(make_queue: Callable[..., HotQueue], queue_name: str) -> Iterator[Room]:
    """The keys of another queue."""
    made = Room(make_queue(f"{queue_name}-other"))
    yield made
    made.wipe()


@pytest.fixture
def queue(make_queue: Callable[..., HotQueue]) -> HotQueue:
    """A queue with one task, `double`, that workers in this process know by name."""
    made = make_queue()
    definition_of(made.task(name="double")(sample.double)).by_value = False
    return made


@pytest.fixture(autouse=True)
def _nothing_seen_yet() -> None:
    sample.seen.clear()
    sample.go_on.clear()
