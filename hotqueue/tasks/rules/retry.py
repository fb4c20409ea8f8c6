"""Whether an error is tried again, and after how long. Pure: randomness comes in by argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_members: Any = vars(BaseExceptionGroup)["exceptions"].__get__


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a task's errors are answered.

    Attributes:
        max_retries: runs after the first; None is without end.
        autoretry_for: error classes that are tried again by themselves; an exception group, when all errors in it are.
        dont_autoretry_for: exceptions to that.
        base: seconds before the first retry.
        exponential: double the delay with each retry, else keep `base`.
        cap: seconds at most.
        jitter: draw from 0 to the delay ("full jitter", AWS Architecture Blog, 2015), so that tasks which failed together
            do not come back together.
    """

    max_retries: int | None = 3
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    base: float = 1
    exponential: bool = True
    cap: float = 600
    jitter: bool = True

    def allows(self, retries: int, max_retries: int | None = None) -> bool:
        """Tell whether one more retry is left after `retries` of them."""
        limit = self.max_retries if max_retries is None else max_retries
        return limit is None or retries < limit

    def wants(self, error: BaseException) -> bool:
        """Tell whether this error is tried again without being asked; a group is as the errors in it are, all of them."""
        within = list(_within(error))
        if any(issubclass(kind, self.dont_autoretry_for) for kind in within):
            return False
        leaves = [kind for kind in within if not issubclass(kind, BaseExceptionGroup)]
        return issubclass(type(error), self.autoretry_for) or all(issubclass(kind, self.autoretry_for) for kind in leaves)


def _within(error: BaseException) -> Iterator[type[BaseException]]:
    """Yield the class of an error, and of whatever is in it if it is a group; an instance may answer with code of the user's."""
    left = [error]
    while left:
        one = left.pop()
        yield type(one)
        if issubclass(type(one), BaseExceptionGroup):
            left += _members(one)


def backoff(policy: RetryPolicy, retries: int, random: Callable[[], float]) -> float:
    """Return the seconds before the next retry.

    Args:
        retries: how many there were before.
        random: returns a float in [0, 1).
    """
    delay = policy.base
    if policy.exponential:
        delay = min(policy.cap, policy.base * 2 ** min(retries, 60))
    return delay * random() if policy.jitter and policy.exponential else delay
