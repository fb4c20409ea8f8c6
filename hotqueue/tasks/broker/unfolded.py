"""What was told of a queue and is not folded into its statistics yet, and the names under which it will be. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from hotqueue import keys
from hotqueue.tasks.broker.stored_queue import whole
from hotqueue.tasks.rules.tally import Tally
from hotqueue.tasks.wire.counting import ALL, Counting, Spans

MOST_NAMES = 1000  # of a queue; what has another one is counted as OTHER
OTHER = "(other)"


@dataclass
class Unfolded:
    """What waits to be folded in, and what it is to be folded into.

    Attributes:
        version: changes whenever somebody folds.
        names: of tasks, in the order of their numbers, from 1 on.
        kept: what the accounts weigh that are folded in and kept; see `Counting.weights`.
        enqueued: field → number.
        behind: how many accounts, that are folded in, stand in front of them.
    """

    version: bytes
    names: list[str]
    kept: int
    accounts: list[bytes] = field(default_factory=list)
    enqueued: dict[bytes, int] = field(default_factory=dict)
    behind: int = 0

    def counted(self) -> Counting:
        """Return what it amounts to."""
        found = Counting()
        for data in self.accounts:
            found.count(data)
        for name, number in self.enqueued.items():
            minute, _, task = keys.text(name).partition(":")
            found.enqueued(whole(minute), task or "?", number)
        return found

    def together(self, step: int) -> dict[int, Tally]:
        """Return it as tallies of all tasks together, of one step: by the number of the span."""
        return self.counted().together(step) if self.accounts or self.enqueued else {}

    def spans(self) -> Spans:
        """Return the same as tallies, under those names under which they will be folded in."""
        numbers, found = Numbers([*self.names]), Spans()
        for (name, step, span), tally in self.counted().spans().items():
            found.setdefault((numbers.name_of(name), step, span), Tally()).add(tally)
        return found


class Numbers:
    """The numbers of names; takes in new ones, as long as there is room."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._numbers = {name: n for n, name in enumerate([ALL, *names])}

    def of(self, name: str) -> int:
        """Return the number of a name."""
        number = self._numbers.get(name)
        if number is None:
            if len(self._names) >= MOST_NAMES and name != OTHER:
                return self.of(OTHER)
            self._names.append(name)
            number = self._numbers[name] = len(self._names)
        return number

    def name_of(self, name: str) -> str:
        """Return the name under which what has a name is counted."""
        number = self.of(name)
        return self._names[number - 1] if number else ALL


def names_in(names: bytes | None) -> list[str]:
    """Return the names of tasks, in the order of their numbers."""
    return keys.text(names).split("\n") if names else []
