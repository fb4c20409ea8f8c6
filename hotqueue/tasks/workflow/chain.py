"""chain: one step after the other, each with the value of the one before it; a group in front of a step is its chord's header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar, overload

from hotqueue.tasks.workflow import in_place
from hotqueue.tasks.workflow.form import Form, listed
from hotqueue.tasks.workflow.plan import Given, Planning, Shape
from hotqueue.tasks.workflow.signature import Signature, parts

R = TypeVar("R")
Any_ = Signature[Any]


class chain(Signature[R], Generic[R]):  # as Celery spells it
    """Steps that run one after the other, each with the value of the one before it in front of its arguments.

    >>> chain(add.s(2, 2), square.s(), square.s()).delay().get(timeout=10)
    256
    >>> (add.s(2, 2) | square.s()).delay().get(timeout=10)
    16

    Of a group, the next step is given the list of its members' values, once all have succeeded; each member of a group is given
    the value of the step before it. A chain in a chain is as if its steps stood there; an empty one, and None, are skipped.

    Args:
        steps: signatures, or one iterable of them.
    """

    __module__ = "hotqueue.tasks"

    @overload
    def __init__(self: chain[None]) -> None: ...
    @overload
    def __init__(self: chain[R], only: Signature[R], /) -> None: ...
    @overload
    def __init__(self: chain[R], first: Any_ | None, last: Signature[R], /) -> None: ...
    @overload
    def __init__(self: chain[R], first: Any_ | None, second: Any_ | None, last: Signature[R], /) -> None: ...
    @overload
    def __init__(self: chain[R], first: Any_ | None, second: Any_ | None, third: Any_ | None, last: Signature[R], /) -> None: ...
    @overload
    def __init__(self: chain[Any], *steps: Any_ | None) -> None: ...
    @overload
    def __init__(self: chain[Any], steps: Iterable[Any_ | None], /) -> None: ...
    def __init__(self, *steps: Any) -> None:
        super().__init__(ChainForm(parts(steps, "chain()")))


class ChainForm(Form):
    """Steps one after the other.

    Attributes:
        steps: those of chains among them in their place, but of those that say something of their own.
    """

    kind = "chain"

    def __init__(self, steps: Iterable[Form]) -> None:
        super().__init__()
        self.steps = tuple(_flat(steps))

    @property
    def is_nothing(self) -> bool:
        """True without a step."""
        return all(step.is_nothing for step in self.steps)

    @property
    def is_wide(self) -> bool:
        """True of a group alone."""
        return len(self.steps) == 1 and self.steps[0].is_wide

    @property
    def begins_wide(self) -> bool:
        """True where its first step does."""
        return next((step.begins_wide for step in self.steps if not step.is_nothing), False)

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run it here; see `Form.run`."""
        steps = [step for step in self.steps if not step.is_nothing]
        if not steps:
            return args[0] if args else None
        if len(steps) == 1:
            return steps[0].run(args, kwargs)
        value = in_place.value_of(steps[0].run(args, kwargs))
        for step in steps[1:]:
            value = in_place.value_of(step.run((value,), {}))
        return value

    def plan(self, planning: Planning, given: Given) -> Shape:
        """Add its steps; see `Form.plan`."""
        steps = [step for step in self.steps if not step.is_nothing]
        shape: Shape = given.shape
        for number, step in enumerate(steps):
            shape = planning.part(step, given, number == 0, number == len(steps) - 1)
            given = given.then(shape)
        return shape

    def text(self) -> str:
        """Return it as it is written."""
        if not self.is_bare or len(self.steps) < 2:
            return f"chain({listed(self.steps, len(self.steps))}){self.options_text()}"
        shown = [step.text() for step in self.steps]
        cut = [*shown[:3], f"… {len(shown) - 4} more", shown[-1]] if len(shown) > 5 else shown
        return " | ".join(cut)

    def take(self, state: dict[str, Any]) -> None:
        """Become what `state` was of."""
        self.steps = ()
        super().take(state)


def _flat(steps: Iterable[Form]) -> Iterable[Form]:
    for step in steps:
        if isinstance(step, ChainForm) and step.is_bare:
            yield from step.steps
        else:
            yield step
