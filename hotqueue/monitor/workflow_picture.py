"""A workflow as a picture: its steps in layers, each behind what it waits for; many alike are one box. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FEW = 6  # steps alike that are shown one by one
MOST = 120  # boxes of one picture
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 196, 46, 64, 16, 12  # of a box; between layers, and between boxes; around all


@dataclass
class Box:
    """A step, or many alike.

    Attributes:
        numbers: of the steps.
        label: the name of their task, with how many they are.
        states: how many of them are in which state.
        x, y: its left upper corner.
        layer: in which column, from 0.
    """

    numbers: list[int]
    label: str
    states: Mapping[str, int]
    x: int = 0
    y: int = 0
    layer: int = 0

    @property
    def state(self) -> str:
        """The state that matters most among its steps: one that has failed, that runs, that waits."""
        return next((state for state in IMPORTANCE if self.states.get(state)), next(iter(self.states), ""))

    @property
    def says(self) -> str:
        """Its states, in words."""
        if len(self.numbers) == 1:
            return self.state
        return ", ".join(f"{number:,} {state}" for state, number in sorted(self.states.items(), key=lambda each: -each[1]))


IMPORTANCE = ("failed", "running", "waiting", "scheduled", "revoked", "skipped", "gone", "succeeded")


@dataclass(frozen=True)
class Line:
    """From a box to one that waits for it: from the right edge of one to the left edge of the other."""

    x1: int
    y1: int
    x2: int
    y2: int
    state: str = ""

    @property
    def path(self) -> str:
        """As SVG draws it: a curve that leaves and arrives level."""
        half = (self.x2 - self.x1) // 2
        return f"M{self.x1},{self.y1} C{self.x1 + half},{self.y1} {self.x2 - half},{self.y2} {self.x2},{self.y2}"


@dataclass
class Picture:
    """All of it.

    Attributes:
        hidden: how many steps are in no box: there were too many.
    """

    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    width: int = 0
    height: int = 0
    hidden: int = 0


def picture(tasks: Sequence[str], states: Sequence[str], needs: Sequence[Sequence[int]], whens: str = "") -> Picture:
    """Return the picture of a workflow.

    Args:
        tasks, states: of each step.
        needs: of each, the numbers of those that it waits for.
        whens: a letter a step; those with different ones are not alike.
    """
    groups = _alike(tasks, needs, whens)
    made = Picture(hidden=sum(map(len, groups[MOST:])))
    groups = groups[:MOST]
    box_of: dict[int, int] = {}
    for place, numbers in enumerate(groups):
        counted = Counter(states[number] for number in numbers)
        label = tasks[numbers[0]] if len(numbers) == 1 else f"{len(numbers):,} × {tasks[numbers[0]]}"
        made.boxes.append(Box(numbers, label, counted))
        box_of |= dict.fromkeys(numbers, place)
    edges = [sorted({box_of[need] for need in needs[group[0]] if need in box_of}) for group in groups]
    _place(made, edges)
    for place, parents in enumerate(edges):
        to = made.boxes[place]
        for parent in parents:
            box = made.boxes[parent]
            made.lines.append(Line(box.x + WIDTH, box.y + HEIGHT // 2, to.x, to.y + HEIGHT // 2, box.state))
    return made


def _alike(tasks: Sequence[str], needs: Sequence[Sequence[int]], whens: str) -> list[list[int]]:
    """Return the steps, those together of which there are many with the same task, in front of and behind the same."""
    behind: list[list[int]] = [[] for _ in tasks]
    for number, some in enumerate(needs):
        for need in some:
            if 0 <= need < len(tasks):
                behind[need].append(number)
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, task in enumerate(tasks):
        same = task, tuple(needs[number]), tuple(behind[number]), whens[number : number + 1]
        groups.setdefault(same, []).append(number)
    found = [part for group in groups.values() for part in ([group] if len(group) > FEW else [[each] for each in group])]
    return sorted(found)


def _place(made: Picture, edges: Sequence[Sequence[int]]) -> None:
    """Put boxes into layers, each behind all that it waits for, near the middle of these."""
    layers: dict[int, list[int]] = {}
    for place, parents in enumerate(edges):  # those before others come first
        made.boxes[place].layer = 1 + max((made.boxes[each].layer for each in parents if each < place), default=-1)
        layers.setdefault(made.boxes[place].layer, []).append(place)
    tallest = max(map(len, layers.values()), default=0)
    made.height = 2 * EDGE + tallest * HEIGHT + max(0, tallest - 1) * DOWN
    made.width = 2 * EDGE + len(layers) * WIDTH + max(0, len(layers) - 1) * ACROSS
    rank: dict[int, float] = {}
    for layer, places in sorted(layers.items()):
        places.sort(key=lambda place: (_middle([rank[each] for each in edges[place] if each in rank]), place))
        height = len(places) * HEIGHT + (len(places) - 1) * DOWN
        for at, place in enumerate(places):
            box = made.boxes[place]
            box.x, box.y = EDGE + layer * (WIDTH + ACROSS), (made.height - height) // 2 + at * (HEIGHT + DOWN)
            rank[place] = float(box.y)


def _middle(places: Sequence[float]) -> float:
    return sum(places) / len(places) if places else 0.0
