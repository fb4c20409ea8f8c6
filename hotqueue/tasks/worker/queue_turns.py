"""Which of a worker's queues is asked next: turn by turn, each as many as it weighs. Pure.

A sync worker's turn is about 10 ms of work, or one task that takes longer; an async worker's is one slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hotqueue.tasks.worker.prefetch import TARGET


class Turns:
    """Whose turn it is.

    Args:
        weights: how many turns each queue has before the next has its own, from 1; there may be more later.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = dict(enumerate(weights))
        self._at = 0
        self._left = float(self._weights.get(0, 1))

    def add(self, number: int, weight: int) -> None:
        """Have a queue more, or another one under a number that was left."""
        self._weights[number] = weight

    def order(self, numbers: Iterable[int]) -> list[int]:
        """Return these numbers of queues from the one whose turn it is on."""
        at, count = self._at, len(self._weights)
        return sorted(numbers, key=lambda number: (number - at) % count)

    def spend(self, at: int, turns: float) -> bool:
        """Note that a queue had some turns, those before it having nothing to do; tell whether it is the next one's turn."""
        if at != self._at:
            self._at, self._left = at, float(self._weights[at])
        self._left -= turns
        if self._left > 0:
            return False
        self._at = (at + 1) % len(self._weights)
        self._left = float(self._weights[self._at])
        return True

    def shares(self, room: int, wanting: Sequence[int]) -> list[int]:
        """Share out slots among some queues, in their order, turn by turn; take these turns for had."""
        weights = [self._weights[at] for at in wanting]
        rounds, room = divmod(room, sum(weights))  # whole rounds leave the turn where it is
        given = [rounds * weight for weight in weights]
        n, left = 0, int(self._left) if wanting[0] == self._at else weights[0]
        while room:
            some = min(room, left)
            given[n] += some
            room, left = room - some, left - some
            if not left:
                n = (n + 1) % len(wanting)
                left = weights[n]
        self._at, self._left = wanting[n], float(left)
        return given


def turns_in(seconds: float) -> float:
    """Return how many turns so much work is: tasks that are fetched one by one, since two take longer, have one each."""
    return 1.0 if seconds > TARGET / 2 else seconds / TARGET
