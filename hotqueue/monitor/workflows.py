"""Workflows: which there are in a queue, and one with the states of its steps. Reads only; unpickles nothing.

Of each step the head of its record is read, and where there is none, where it stands: a thousand steps in one trip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from hotqueue import keys
from hotqueue.errors import SerializationError
from hotqueue.monitor.row import moment_of
from hotqueue.monitor.workflow_picture import Picture, picture
from hotqueue.store import pipeline
from hotqueue.store.store import Store
from hotqueue.tasks.broker.broker import Broker
from hotqueue.tasks.rules.lifecycle import State
from hotqueue.tasks.wire import record
from hotqueue.tasks.workflow import graph

HEAD = 64  # bytes of a record that say how it ended
STEPS = 10_000  # of one workflow whose states are read
IN_HAND = 2000  # tasks in workers' hands that are looked at
LOOKED = 500  # tasks that are looked at to find workflows
FOUND = 50  # workflows that are found so
_STANDING = {b"s": "scheduled", b"t": "waiting", b"d": "failed"}  # as step_states.lua says it
_WORDS = {State.SUCCESS: "succeeded", State.FAILURE: "failed", State.REVOKED: "revoked"}
STATES = ("succeeded", "failed", "running", "waiting", "scheduled", "skipped", "revoked", "gone")


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        state: of STATES; "skipped": it failed as one before it did; "gone": nothing is known of it, or it was not to run.
    """

    id: str
    task: str
    queue: str
    state: str
    ended: datetime | None = None


@dataclass
class OneWorkflow:
    """A workflow.

    Attributes:
        steps: those before others first.
        needs: of each, the numbers of those that it waits for.
        counts: how many steps are in which state.
        failed: the steps that failed by themselves, the first ones.
    """

    id: str
    queue: str
    steps: list[Step]
    needs: Sequence[Sequence[int]]
    whens: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of its tasks, in the order in which they come."""
        return list(dict.fromkeys(step.task for step in self.steps))

    @property
    def failed(self) -> list[Step]:
        """The first steps that failed, those before others first."""
        return [step for step in self.steps if step.state == "failed"][:20]

    @property
    def is_over(self) -> bool:
        """None of its steps is still to end."""
        return not any(self.counts.get(state) for state in ("running", "waiting", "scheduled"))

    @property
    def picture(self) -> Picture:
        """It as boxes and lines."""
        steps = self.steps
        return picture([step.task for step in steps], [step.state for step in steps], self.needs, self.whens)


def look(store: Store, queue: str, workflow_id: str, most: int = STEPS) -> OneWorkflow | None:
    """Return a workflow by its id, or by that of one of its steps; None where this queue knows none.

    Args:
        most: steps whose states are read; the others are "gone", and not counted.
    """
    broker = Broker(store, queue)
    broker.check_schema()
    for known_as in dict.fromkeys((workflow_id, workflow_id.rpartition("-")[0])):
        data = broker.workflow(known_as) if known_as else None
        if data is not None:
            break
    else:
        return None
    try:
        found = graph.decode(known_as, data)
    except SerializationError:
        return None
    states = _states(store, found, most)
    steps = [Step(*row) for row in zip(found.ids, found.tasks, found.queues, *zip(*states, strict=True), strict=True)]
    counted = Counter(step.state for step in steps[:most])
    counts = {state: counted[state] for state in STATES if counted[state]}
    return OneWorkflow(known_as, queue, steps, found.needs, found.whens, counts)


def _states(store: Store, found: graph.Graph, most: int) -> list[tuple[str, datetime | None]]:
    """Return how each step is, and when it ended."""
    home, states = Broker(store, found.home), list[tuple[str, datetime | None]]()
    left: dict[str, list[int]] = {}
    heads = home.step_states(found.ids[:most], HEAD)
    for number, head in enumerate(heads):
        known = record.glimpse(head) if len(head) > 1 else None
        if known is not None:
            word = "skipped" if record.origin_in(head) is not None else _WORDS.get(known[0], "gone")
            states.append((word, moment_of(known[1])))
            continue
        states.append((_STANDING.get(head, "gone"), None))
        if found.queues[number] != found.home:  # at home it waits until it has gone there
            left.setdefault(found.queues[number], []).append(number)
    states += [("gone", None)] * (len(found.ids) - len(states))
    for queue, numbers in left.items():
        there = Broker(store, queue).step_states([found.ids[number] for number in numbers], HEAD)
        for number, head in zip(numbers, there, strict=True):
            if head in _STANDING:
                states[number] = _STANDING[head], None
    _mark_running(store, found, states)
    return states


def _mark_running(store: Store, found: graph.Graph, states: list[tuple[str, datetime | None]]) -> None:
    waiting = {found.ids[number]: number for number, (word, _) in enumerate(states) if word == "waiting"}
    for queue in {found.queues[number] for number in waiting.values()}:
        held = (each.id for page in Broker(store, queue).in_hand() for each in page)
        for task_id in islice(held, IN_HAND):
            if task_id in waiting:
                states[waiting[task_id]] = "running", None


def _ask(broker: Broker, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
    if not asked:
        return []
    replies = broker.store.repeat(partial(pipeline.ask_all, broker.store, asked, "looking at a workflow"))
    return [None if isinstance(reply, Exception) else reply for reply in replies]


def recent(store: Store, queue: str) -> list[str]:
    """Return the ids of workflows with steps in a queue that wait, are in hand, or are dead: of those that are found soon."""
    broker = Broker(store, queue)
    broker.check_schema()
    found = dict.fromkeys(each for task_id in islice(_ids(broker), LOOKED) if (each := task_id.rpartition("-")[0]))
    known = _ask(broker, [("EXISTS", keys.result(queue, f"workflow:{each}")) for each in found])
    return [each for each, is_known in zip(found, known, strict=True) if is_known][:FOUND]


def _ids(broker: Broker) -> Iterator[str]:
    """Yield ids of tasks that may be steps."""
    for page in islice(broker.in_hand(), 2):
        yield from (each.id for each in page)
    n, store = broker.name, broker.store
    for key in (keys.steps(n), keys.dead_steps(n)):
        _, rows = store.repeat(partial(store.command, key, "HSCAN", key, b"0", "COUNT", LOOKED // 4))
        yield from map(keys.text, rows[::2])
    yield from broker.dead_ids(LOOKED // 4)
    for key in (keys.ready(n), keys.ready_async(n), keys.scheduled(n)):
        yield from map(keys.text, store.repeat(partial(store.command, key, "ZRANGE", key, 0, LOOKED // 8)))
