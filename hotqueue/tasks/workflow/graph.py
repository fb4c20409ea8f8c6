"""Graph: the steps of a workflow as they are kept beside it: who waits for whom, for handles and people. Encode and decode.

And Workflow, which is what `queue.workflow` returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hotqueue.errors import SerializationError
from hotqueue.plurals import plural
from hotqueue.tasks.rules.lifecycle import State

Shape = Any  # see plan.py
VERSION = 1


class Node(NamedTuple):
    """One step of a workflow.

    Attributes:
        id: of its task.
        task: the task's name.
        queue: where it runs.
        state: as of an `AsyncResult`.
    """

    id: str
    task: str
    queue: str
    state: State


class Workflow:
    """A workflow as it was sent, and in which state its steps are: what ``queue.workflow(id)`` returns.

    Attributes:
        nodes: its steps, those before others first.
        edges: pairs of ids: the second step waits for the first.
    """

    __module__ = "hotqueue.tasks"

    def __init__(self, nodes: list[Node], edges: list[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.edges = edges

    def __repr__(self) -> str:
        return f"<Workflow of {plural(len(self.nodes), 'step')}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and (self.nodes, self.edges) == (other.nodes, other.edges)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Graph:
    """The steps of a workflow, by their numbers.

    Attributes:
        id: of the workflow.
        home: the queue where its results are.
        shape: of which steps its value is made.
        ids, tasks, queues: of each step.
        needs: of each, the numbers of those that it waits for.
        whens: of each, for what of these; see `wire.plan.Step`.
    """

    id: str
    home: str
    shape: Shape
    ids: Sequence[str]
    tasks: Sequence[str]
    queues: Sequence[str]
    needs: Sequence[Sequence[int]]
    whens: str

    def number(self, task_id: str) -> int | None:
        """Return the number of a step."""
        return self.ids.index(task_id) if task_id in self.ids else None

    def parents(self, number: int) -> list[int]:
        """Return the steps that a step waits for."""
        return list(self.needs[number])

    def children(self, number: int) -> list[int]:
        """Return the steps that wait for a step to succeed, or to end."""
        return [n for n, needs in enumerate(self.needs) if self.whens[n] != "F" and number in needs]

    def roots(self) -> list[int]:
        """Return the steps that wait for none."""
        return [n for n, needs in enumerate(self.needs) if not needs]

    def edges(self) -> Iterator[tuple[str, str]]:
        """Yield who waits for whom, as ids: the one that is waited for first."""
        for number, needs in enumerate(self.needs):
            for need in needs:
                yield self.ids[need], self.ids[number]

    def encode(self) -> bytes:
        """Return it as it is kept: names once each, ids that follow from the workflow's not at all."""
        tasks, queues = list(dict.fromkeys(self.tasks)), list(dict.fromkeys(self.queues))
        prefix = next((i.rpartition("-")[0] for n, i in enumerate(self.ids) if i.endswith(f"-{n:x}")), "")
        places = {name: place for place, name in enumerate(tasks)}, {name: place for place, name in enumerate(queues)}
        kept = {
            "v": VERSION,
            "home": self.home,
            "shape": self.shape,
            "prefix": prefix,
            "n": len(self.ids),
            "ids": {n: own for n, own in enumerate(self.ids) if own != f"{prefix}-{n:x}"},
            "tasks": tasks,
            "queues": queues,
            "task": [places[0][name] for name in self.tasks] if len(tasks) > 1 else 0,
            "queue": [places[1][name] for name in self.queues] if len(queues) > 1 else 0,
            "needs": {n: needs for n, needs in enumerate(self.needs) if needs},
            "whens": self.whens if self.whens.strip("S") else "",
        }
        return json.dumps(kept, separators=(",", ":")).encode()


def decode(workflow_id: str, data: bytes) -> Graph:
    """Return the graph that was kept.

    Raises:
        SerializationError: it is none, or one of a newer hotqueue.
    """
    try:
        kept = json.loads(data)
        if kept["v"] != VERSION:
            raise ValueError(f"version {kept['v']}, of a newer hotqueue: upgrade this program")
        numbers = range(kept["n"])
        own = {int(n): task_id for n, task_id in kept["ids"].items()}
        needs = {int(n): [int(need) for need in some] for n, some in kept["needs"].items()}
        task, queue = (kept[name] if isinstance(kept[name], list) else [0] * kept["n"] for name in ("task", "queue"))
        return Graph(
            workflow_id,
            kept["home"],
            kept["shape"],
            [own.get(n, f"{kept['prefix']}-{n:x}") for n in numbers],
            [kept["tasks"][place] for place in task],
            [kept["queues"][place] for place in queue],
            [needs.get(n, []) for n in numbers],
            kept["whens"] or "S" * kept["n"],
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SerializationError(f"the graph of workflow {workflow_id!r} cannot be read: {error}") from None
