"""Attention: which of a worker's queues have something to be done about them; the others only wait for a ring.

A worker may have a thousand queues: to look at each of them in a row takes longer than a task. So what happens to a queue (a
ring, a fetch that left some, an error) puts its number here, and whoever looks around looks at these. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Attention:
    """The numbers of the queues to look at; any thread may add one."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int) -> None:
        """Have a queue looked at."""
        self._numbers.add(number)

    def update(self, numbers: Iterable[int]) -> None:
        """Have several queues looked at."""
        self._numbers.update(numbers)

    def discard(self, number: int) -> None:
        """Have a queue looked at no more: it was left."""
        self._numbers.discard(number)

    def numbers(self) -> list[int]:
        """Return which they are, in no order."""
        return list(self._numbers)  # in one go: another thread may add one

    def turn_away(self, queues: Sequence[Attended]) -> None:
        """Look no more at those in which nothing is to be done.

        Args:
            queues: all of the worker's.
        """
        for number in self.numbers():
            self._numbers.discard(number)
            if not queues[number].is_quiet:
                self._numbers.add(number)


class Attended:
    """A queue that is looked at once it may have tasks, or it is not known what is held of it.

    Args:
        index: its number.

    Attributes:
        may_have_tasks: there may be tasks: its bell rang, or the last fetch left some.
        must_recover: an error left open what we hold.
    """

    def __init__(self, index: int, attention: Attention) -> None:
        self.index = index
        self._attention = attention
        self._may_have_tasks = self._must_recover = False

    @property
    def is_quiet(self) -> bool:
        """True while nothing is to be done but to wait for a ring."""
        raise NotImplementedError

    @property
    def may_have_tasks(self) -> bool:
        return self._may_have_tasks

    @may_have_tasks.setter
    def may_have_tasks(self, value: bool) -> None:
        self._may_have_tasks = value
        if value:
            self._attention.add(self.index)

    @property
    def must_recover(self) -> bool:
        return self._must_recover

    @must_recover.setter
    def must_recover(self, value: bool) -> None:
        self._must_recover = value
        if value:
            self._attention.add(self.index)
