"""Why a task waits, or what else there is to say of it: a reason, the sentence for people, and the facts. Pure."""

from __future__ import annotations

from typing import Any

REASONS = (
    *("position", "paused", "no_worker", "unknown_task", "rate_limit", "concurrency", "fair_turn", "waits_for_itself", "unique"),
    *("eta", "retry", "parked", "fetched", "running", "suspect", "lost", "done", "unknown", "waits_for_steps", "elsewhere"),
)


class Why:
    """Why a task waits, or what else there is to say of it.

    ``str(why)`` is the sentence. Each fact is an attribute as well: ``why.position``.

    Attributes:
        reason: one of position, paused, no_worker, unknown_task, rate_limit, concurrency, fair_turn, waits_for_itself, unique,
            eta, retry, parked, fetched, running, suspect, lost, done, unknown, waits_for_steps, elsewhere.
        text: the sentence.
        facts: by their names; which ones there are depends on the reason.
    """

    __module__ = "hotqueue.tasks"
    __slots__ = ("facts", "reason", "text")

    def __init__(self, reason: str, text: str, **facts: Any) -> None:
        self.reason, self.text, self.facts = reason, text, facts

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Why({self.reason!r}, {self.text!r}{''.join(f', {name}={value!r}' for name, value in self.facts.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Why) and (self.reason, self.text, self.facts) == (other.reason, other.text, other.facts)

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name != "facts" and name in self.facts:
            return self.facts[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}" + ("" if name.startswith("_") else f" for {self.reason!r}"))
