"""Form: what a signature is beneath what users see of it: its parts, its options, and what is made of them. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from hotqueue.tasks.client.result import AsyncResult
    from hotqueue.tasks.workflow.plan import Given, Planning, Shape

SHOWN = 3  # members of a wide one that are printed


class Form:
    """A call, or several that are put together. The classes below it say of what, and do what is left to them here.

    Attributes:
        options: of the call, or of each that is a part of it.
        links: what is called once it has succeeded.
        errbacks: what is called should it fail.
        after: results of tasks that have to succeed first.
    """

    kind: ClassVar[str]  # what stored data calls it, and errors

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.links: tuple[Form, ...] = ()
        self.errbacks: tuple[Form, ...] = ()
        self.after: tuple[AsyncResult[Any], ...] = ()

    def copy(self) -> Self:
        """Return another one like it."""
        made = object.__new__(type(self))
        vars(made).update({**vars(self), "options": dict(self.options)})
        return made

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def wait_for(self, results: tuple[AsyncResult[Any], ...]) -> None:
        """Have it start when these have succeeded, too."""
        self.after += results

    @property
    def is_bare(self) -> bool:
        """True where it says nothing beside what its parts are."""
        return not (self.options or self.links or self.errbacks or self.after)

    @property
    def is_wide(self) -> bool:
        """True where it begins, and ends, with several steps: it has an id apart from theirs."""
        return False

    @property
    def begins_wide(self) -> bool:
        """True where it begins with several steps: the first of them is not that of the whole."""
        return self.is_wide

    @property
    def is_nothing(self) -> bool:
        """True where it is to be skipped: it has no step, and no value."""
        return False

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run it here and now; return its value, or what its last step only made."""
        raise NotImplementedError

    def plan(self, planning: Planning, given: Given) -> Shape:
        """Add its steps to a plan; return of which of them its value is made."""
        raise NotImplementedError

    def failing(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """Return for which of its own steps its errbacks wait: for the first of them to fail."""
        return own

    def text(self) -> str:
        """Return it as it is written."""
        raise NotImplementedError

    def options_text(self) -> str:
        """Return its options and errbacks as the calls that gave them."""
        given = ", ".join(f"{name}={value!r:.40}" for name, value in self.options.items())
        return (f".set({given})" if given else "") + "".join(f".on_error({errback.text()})" for errback in self.errbacks)

    def state(self) -> dict[str, Any]:
        """Return what travels of it in a pickle: what is not as it is without being said."""
        return {name: value for name, value in vars(self).items() if value}

    def take(self, state: dict[str, Any]) -> None:
        """Become what `state` was of."""
        vars(self).update(state)

    def __reduce__(self) -> tuple[Any, ...]:
        from hotqueue.tasks.workflow.stored import form

        return form, (self.kind, self.state())


def listed(members: Iterable[Form], count: int) -> str:
    """Return the first members of a wide one as text, and how many more there are."""
    shown = [member.text() for _, member in zip(range(SHOWN), members, strict=False)]
    return ", ".join(shown) + (f", … {count - SHOWN} more" if count > SHOWN else "")
